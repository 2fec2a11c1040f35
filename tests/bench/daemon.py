#!/usr/bin/env python3
"""What the daemon saves: repeats, stored embeddings, cached text vectors.

usage: daemon.py [--model DIR] [--cache DIR] [--repeats N] [--precision P] [--json]

Starts clipwardd in a temporary folder and prints
  text        loading 200 prompts x 4 templates, cold and from the cache
  memory      of each of two workers that have scored full batches of 16: what no other process shares
  repeats     the same bytes under the same policies, answered from the store
  re-policed  the same bytes after a reload, scored from stored embeddings
  drained     SIGTERM to exit, with nothing in hand
  start       of a worker and of the daemon, with packed weights and text vectors kept from before
and with --json the same numbers in one line at the end.
"""
import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import zmq

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PICTURES = sorted((ROOT / "tests/data").glob("*.jpg"))
IN_FLIGHT = 256
BATCH = 16


def policy(extra=""):
    words = [f"{a} {b} {c}" for a in ("small", "large", "red", "old", "broken")
             for b in ("wooden", "metal", "plastic", "paper") for c in
             ("gun", "table", "car", "house", "phone", "cup", "lamp", "boat", "bottle", "chair")]
    lines = ["schema: clipward.policy/1", "id: bench", "version: 1", "title: bench",
             'templates: ["{}", "a photo of {}.", "a picture of {}.", "a drawing of {}."]',
             "thresholds: {review: 0.6, block: 0.9}", "score: softmax", "neutral:"]
    lines += [f"  - a {w}" for w in words[:100]] + ([f"  - {extra}"] if extra else [])
    lines += ["categories:", "  - id: bench.it", "    title: it", "    severity: low", "    prompts:"]
    return "\n".join(lines + [f"      - a {w}" for w in words[100:]]) + "\n"


class Daemon:
    def __init__(self, folder, args):
        self.folder, self.clipward = folder, str(ROOT / "build/clipward")
        self.socket = str(folder / "control.sock")
        model = {"path": args.model, "cache": args.cache, "precision": args.precision}
        config = {"model": model, "workers": {"count": 2, "batch": BATCH}, "policies": str(folder / "policies"),
                  "queue": {"submit": "tcp://127.0.0.1:*", "pull": "tcp://127.0.0.1:*"},
                  "verdicts": {"pub": "tcp://127.0.0.1:*"}, "spool": {"path": str(folder / "spool")},
                  "control": {"socket": self.socket}, "http": {"listen": ""},
                  "log": {"to": "stderr", "level": "notice"}, "plugins": []}
        (folder / "config.yaml").write_text(json.dumps(config))
        self.log = open(folder / "log", "wb")
        self.run = subprocess.Popen([str(ROOT / "build/clipwardd"), "-d", "-f", str(folder / "config.yaml")],
                                    stderr=self.log)
        end = time.monotonic() + 120
        while time.monotonic() < end and self.run.poll() is None:
            self.state = self.status()
            if self.state and self.state["gate"]["ready"]:
                break
            time.sleep(0.02)
        else:
            sys.exit("daemon: " + (folder / "log").read_text()[-500:])
        self.sock = zmq.Context.instance().socket(zmq.DEALER)
        self.sock.linger = 0
        self.sock.connect(self.state["endpoints"]["submit"])

    def status(self):
        run = subprocess.run([self.clipward, "status", "--socket", self.socket, "--json"], capture_output=True,
                             text=True, check=False)
        return json.loads(run.stdout) if run.returncode == 0 else None

    def score(self, prefix, count, fresh=False):
        """Verdicts per second of count jobs over the same few pictures, or the same in other bytes each."""
        bodies = [p.read_bytes() for p in PICTURES]
        if fresh:
            bodies = [bodies[i % len(bodies)] + b"%d" % i for i in range(count)]
        sent = done = cached = 0
        start = time.monotonic()
        while done < count:
            while sent < count and sent - done < IN_FLIGHT:
                self.sock.send_multipart([b"CW1", b"SUBMIT", b'{"id":"%s-%d"}' % (prefix, sent),
                                          bodies[sent % len(bodies)]])
                sent += 1
            if not self.sock.poll(60000):
                sys.exit("daemon: no verdict in 60 s")
            _, verb, header, *_ = self.sock.recv_multipart()
            if verb == b"VERDICT":
                done += 1
                cached += b'"cached":true' in header
            elif verb != b"ACCEPTED":
                sys.exit(f"daemon: {verb} {header[:200]}")
        return count / (time.monotonic() - start), cached

    def logged(self, pattern):
        """The numbers of the last line that has them."""
        found = re.findall(pattern, (self.folder / "log").read_text())[-1]
        return tuple(int(n) for n in found) if isinstance(found, tuple) else (int(found),)

    def last_encode_ms(self):
        return self.logged(r"encoded=(\d+) encode_ms=(\d+)")

    def private_mb(self):
        """The larger worker's pages that are in no other process."""
        found = []
        for child in pathlib.Path(f"/proc/{self.run.pid}/task/{self.run.pid}/children").read_text().split():
            if pathlib.Path(f"/proc/{child}/comm").read_text().startswith("clipward-worker"):
                rollup = pathlib.Path(f"/proc/{child}/smaps_rollup").read_text()
                found.append(sum(int(kb) for kb in re.findall(r"^Private_\w+: +(\d+) kB", rollup, re.M)) / 1024)
        return max(found)

    def reload(self):
        start = time.monotonic()
        run = subprocess.run([self.clipward, "reload", "--socket", self.socket], capture_output=True, text=True,
                             check=False)
        if run.returncode:
            sys.exit(f"daemon: reload: {run.stderr}")
        return 1000 * (time.monotonic() - start)

    def stop(self):
        start = time.monotonic()
        self.run.send_signal(signal.SIGTERM)
        code = self.run.wait(60)
        return 1000 * (time.monotonic() - start), code


def measure(folder, args):
    """Every figure by name, printed as it comes."""
    said = {}

    def figure(text, **numbers):
        print(f"figure {text}", flush=True)
        said.update(numbers)

    policies = folder / "policies/bench.yaml"
    policies.write_text(policy())
    d = Daemon(folder, args)
    encoded, cold = d.last_encode_ms()
    name = d.state.get("model", {}).get("name", args.model)
    figure(f"text: {name}, {encoded} prompts x 4 templates cold {cold} ms", text_cold_ms=cold)
    first, _ = d.score(b"first", len(PICTURES))
    d.score(b"full", 4 * BATCH, fresh=True)
    private = d.private_mb()
    figure(f"memory: {private:.1f} MB of a worker's own, batch {BATCH}", private_mb=private)
    rate, cached = d.score(b"again", args.repeats)
    figure(f"repeats: {rate:.0f} verdicts/s from the store ({cached} of {args.repeats} cached), "
           f"{first:.1f}/s the first time", repeats_per_s=rate)
    policies.write_text(policy("one more thing"))
    took = d.reload()
    encoded, ms = d.last_encode_ms()
    figure(f"text: reload with one new prompt {took:.0f} ms, {encoded} encoded in {ms} ms", reload_one_ms=took)
    rate, cached = d.score(b"other", len(PICTURES))
    reused = d.status()["counters"]["embeds_reused"]
    figure(f"re-policed: {rate:.1f} verdicts/s, {reused} of {len(PICTURES)} from stored embeddings",
           repoliced_per_s=rate)
    policies.write_text(policy())
    took = d.reload()
    encoded, ms = d.last_encode_ms()
    figure(f"text: reload from the cache {took:.0f} ms, {encoded} encoded", reload_cached_ms=took)
    took, code = d.stop()
    figure(f"drained: exit {code} after {took:.0f} ms", drained_ms=took)
    starts = []
    for _ in range(3):
        d = Daemon(folder, args)
        starts.append((d.logged(r"start_ms=(\d+)"), d.logged(r"ready version.* ms=(\d+)")))
        d.stop()
    worker, daemon = min(s[0][0] for s in starts), min(s[1][0] for s in starts)
    figure(f"start: worker ready after {worker} ms, daemon after {daemon} ms, policies from the cache",
           start_worker_ms=worker, start_daemon_ms=daemon)
    return said


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--model", default=str(ROOT / "models/starter"))
    ap.add_argument("--cache", default="")
    ap.add_argument("--repeats", type=int, default=4000)
    ap.add_argument("--precision", default="auto")
    ap.add_argument("--json", action="store_true")
    args = ap.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        folder = pathlib.Path(tmp)
        args.cache = args.cache or str(folder / "cache")
        os.makedirs(args.cache, exist_ok=True)
        os.makedirs(folder / "policies")
        said = measure(folder, args)
        if args.json:
            print(json.dumps(said))


main()
