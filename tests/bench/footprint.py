"""The daemon's own figures: texts, memory, files, start, repeats."""
import json
import os
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"     # Debian's, which has pyzmq


def packed_bytes(ours, precision, cache):
    """Of the file of packed weights, which it makes."""
    args = ours.command("model prepare", "--precision", precision, "--cache",
                        cache)
    subprocess.run([args[0], "model", "prepare", *args[2:]], check=True,
                   stdout=subprocess.DEVNULL)
    name, = (n for n in os.listdir(cache) if f"-{precision}-" in n)
    return os.path.getsize(os.path.join(cache, name))


def daemon(ours, cache):
    out = subprocess.run(
        [PYTHON, os.path.join(HERE, "daemon.py"), "--json", "--model",
         ours.model, "--cache", cache, "--precision", "fp32", "--repeats",
         "4000"], stdout=subprocess.PIPE, text=True, check=False)
    if out.returncode:
        return None
    return json.loads(out.stdout.splitlines()[-1])


def rows(table, ours):
    with tempfile.TemporaryDirectory() as cache:
        size = {p: packed_bytes(ours, p, cache) for p in ("fp32", "int8")}
        said = daemon(ours, cache)
    if said is None:
        table.section("6, 7, 8: the daemon")
        table.absent("tests/bench/daemon.py", "did not run: see above")
        return
    table.section("6: repeats")
    table.row("the same bytes, answered from the store",
              f"{said['repeats_per_s']:.0f}/s", want=(">=", 2000, "/s"),
              got=said["repeats_per_s"])
    table.section("7: 200 prompts in 4 templates each")
    for name, key, most in (
            ("cold", "text_cold_ms", 3000),
            ("a reload, from the cache", "reload_cached_ms", 50)):
        table.row(name, f"{said[key]:.0f} ms", want=("<=", most, " ms"),
                  got=said[key])
    table.row("a reload with one new prompt", f"{said['reload_one_ms']:.0f} ms")
    table.section("8: memory and start")
    table.row("a worker's own memory, batches of 16",
              f"{said['private_mb']:.1f} MB", want=("<=", 120, " MB"),
              got=said["private_mb"])
    share = size["int8"] / size["fp32"]
    table.row(f"packed int8 weights, {size['int8'] / 1e6:.0f} MB, of fp32's",
              f"{share:.3f}", want=("<=", 0.3, ""), got=share)
    table.row("warm start of a worker, to READY",
              f"{said['start_worker_ms']:.0f} ms", want=("<=", 500, " ms"),
              got=said["start_worker_ms"])
    table.row("warm start of the daemon, to taking jobs",
              f"{said['start_daemon_ms']:.0f} ms")


