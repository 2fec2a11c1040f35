"""Whom we run beside: peers kept ready in processes of their own, and us."""
import json
import math
import os
import shlex
import subprocess
import sys
import threading

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
WRAP = shlex.split(os.environ.get("CW_BENCH_WRAP", ""))
TORCH = os.environ.get("CW_BENCH_TORCH", sys.executable)
CORES = sorted(os.sched_getaffinity(0))
# "cpu": by processor time, for a machine that others use, too
CPU_CLOCK = os.environ.get("CW_BENCH_CLOCK", "wall") == "cpu"
START_S = 600       # making a quantised graph takes a while, once
ANSWER_S = 120


def environment():
    """Variables meant for one library must not slow another."""
    return {k: v for k, v in os.environ.items()
            if not k.startswith(("OPENBLAS_", "OMP_", "MKL_"))}


def on_cores(count):
    """Popen's preexec_fn: the first of the cores we may use."""
    return lambda: os.sched_setaffinity(0, CORES[:count])


class Absent(Exception):
    """Why an engine has no figures."""


class Peer:
    """One process of peers.py; asked line by line, so that all take turns."""

    def __init__(self, engine, work, threads, missing):
        family = engine.split("-", maxsplit=1)[0]
        if family in missing:
            raise Absent(missing[family])
        python = TORCH if family == "torch" else sys.executable
        self.log = open(os.path.join(work, f"{engine}.log"), "w+",
                        encoding="utf-8", errors="replace")
        # Debian's PyTorch spins while it waits and is several times slower.
        env = {**environment(), "OMP_WAIT_POLICY": "PASSIVE",
               "GOMP_SPINCOUNT": "0"} if family == "torch" else environment()
        self.run = subprocess.Popen(
            WRAP + [python, os.path.join(HERE, "peers.py"), engine, work,
                    str(threads)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self.log, text=True, env=env,
            preexec_fn=on_cores(threads))
        self.version = self.answer(START_S)["version"]

    def answer(self, seconds):
        timer = threading.Timer(seconds, self.run.kill)
        timer.start()
        try:
            for text in self.run.stdout:
                if text.startswith("{"):
                    return json.loads(text)
        finally:
            timer.cancel()
        self.run.wait()
        self.log.seek(0)
        said = self.log.read().strip().splitlines()
        raise Absent((said or [f"no answer in {seconds} s"])[-1][:70])

    def ask(self, batch, seconds, files=None):
        ask = {"batch": batch, "seconds": seconds, "files": files}
        try:
            self.run.stdin.write(json.dumps(ask) + "\n")
            self.run.stdin.flush()
        except BrokenPipeError:
            pass
        return self.answer(ANSWER_S)

    def stop(self):
        self.run.stdin.close()
        self.run.stdout.close()
        try:
            self.run.wait(10)
        except subprocess.TimeoutExpired:
            self.run.kill()
            self.run.wait()
        self.log.close()


class Peers:
    """Those of `engines` that can be had; the others' reasons in .absent."""

    def __init__(self, engines, work, threads, missing):
        self.ready, self.absent = {}, {}
        for engine in engines:
            print(f"  starting {engine}", file=sys.stderr, flush=True)
            try:
                self.ready[engine] = Peer(engine, work, threads, missing)
            except Absent as why:
                self.absent[engine] = str(why)

    def ask(self, engine, batch, seconds, files=None):
        """None once it is absent."""
        if engine in self.absent:
            return None
        try:
            return self.ready[engine].ask(batch, seconds, files)
        except Absent as why:
            self.absent[engine] = str(why)
            return None

    def stop(self):
        for peer in self.ready.values():
            peer.stop()


class Clipward:
    """Our own command, a model and its words."""

    def __init__(self, program, model):
        self.program, self.model, self.rates = program, model, {}

    def command(self, name, *args):
        return [self.program, name, "--model", self.model, *args]

    def lines(self, args, cores=len(CORES), ok=(0,)):
        """The JSON lines a command prints."""
        p = subprocess.run(WRAP + args, env=environment(), text=True,
                           capture_output=True, check=False,
                           preexec_fn=on_cores(cores))
        if p.returncode not in ok:
            raise RuntimeError(f"{shlex.join(args[:3])}: {p.stderr.strip()}")
        return [json.loads(t) for t in p.stdout.splitlines()
                if t.startswith("{")]

    def encode(self, precision, batch, seconds, processes=1, least=3):
        """`clipward bench` in so many processes at once: images a second of
        all together, and the kernel.  At least so many batches in each."""
        key = precision, batch
        rounds = math.ceil(self.rates.get(key, 0) * seconds / batch)
        args = self.command("bench", "--json", "--precision", precision,
                            "--batch", str(batch), "--threads", "1",
                            "--rounds", str(max(least, rounds)))
        runs = [subprocess.Popen(WRAP + args, env=environment(), text=True,
                                 stdout=subprocess.PIPE,
                                 preexec_fn=on_cores(processes))
                for _ in range(processes)]
        got = [json.loads(r.communicate()[0]) for r in runs]
        self.rates[key] = got[0]["images_per_s"]
        if CPU_CLOCK:
            return sum(1000 * batch / g["ms"]["cpu"] for g in got), \
                got[0]["kernel"]
        return sum(g["images_per_s"] for g in got), got[0]["kernel"]

    def embed(self, precision, images, *args):
        """[n][E] unit vectors of pictures, in their order."""
        words = [w for i in images for w in ("--image", str(i))]
        got = self.lines(self.command("embed", "--precision", precision,
                                      *args, *words))
        return np.array([g["embedding"] for g in got])
