#!/usr/bin/env python3
"""bench.py CLIPWARD WORK_DIR [missing ...]: every engine in turn, one table.

Each round runs every row once, so that what disturbs the machine disturbs all
of them alike; a figure is the median of the rounds.  `missing` are peers that
bench.sh could not install, as name=reason.
"""
import json
import os
import shlex
import subprocess
import sys
from statistics import median

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROUNDS = int(os.environ.get("CW_BENCH_ROUNDS", "3"))
SECONDS = int(os.environ.get("CW_BENCH_SECONDS", "2"))
BATCHES = [int(b) for b in os.environ.get("CW_BENCH_BATCHES", "1 8").split()]
WRAP = shlex.split(os.environ.get("CW_BENCH_WRAP", ""))
TORCH = os.environ.get("CW_BENCH_TORCH", sys.executable)

# label, engine, family
ENGINES = [
    ("clipward fp32", "clipward-fp32", "fp32"),
    ("ONNX Runtime fp32", "ort-fp32", "fp32"),
    ("OpenVINO fp32", "openvino-f32", "fp32"),
    ("PyTorch fp32", "torch-fp32", "fp32"),
    ("clipward int8", "clipward-int8", "less"),
    ("ONNX Runtime int8", "ort-int8", "less"),
    ("ONNX Runtime int8, 7-bit weights", "ort-int7", "less"),
    ("OpenVINO int8 (NNCF)", "openvino-int8", "less"),
    ("OpenVINO as it comes", "openvino-auto", "less"),
    ("PyTorch bf16", "torch-bf16", "less"),
]


class Bench:
    def __init__(self, clipward, work, missing):
        self.clipward, self.work, self.missing = clipward, work, missing
        self.cosines = {}
        # variables meant for one library must not slow another
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(("OPENBLAS_", "OMP_", "MKL_"))}

    def ours(self, precision, batch, threads):
        return [self.clipward, "bench", "--json", "--model",
                os.path.join(self.work, "model"), "--precision", precision,
                "--batch", str(batch), "--threads", str(threads)]

    def command(self, engine, batch, threads):
        if engine.startswith("clipward-"):
            return self.ours(engine[9:], batch, threads)
        python = TORCH if engine.startswith("torch") else sys.executable
        return [python, os.path.join(HERE, "peers.py"), engine, self.work,
                str(batch), str(threads), str(SECONDS)]

    def run(self, engine, batch, threads, processes):
        """Images a second of all processes together, or why there are none."""
        family = engine.split("-")[0]
        if family in self.missing:
            return self.missing[family]
        one = shlex.join(self.command(engine, batch, threads))
        p = subprocess.run(
            WRAP + ["sh", "-c", f"{one} & " * processes + "wait"],
            env=self.env, capture_output=True, text=True, check=False)
        got = [json.loads(s) for s in p.stdout.splitlines()
               if s.startswith("{")]
        if len(got) != processes:
            return (p.stderr.strip().splitlines() or ["no output"])[-1][:60]
        self.cosines.setdefault(engine, got[0].get("cosine"))
        return sum(g["images_per_s"] for g in got)

    def our_cosine(self, precision):
        out = subprocess.run(
            [self.clipward, "embed", "--model",
             os.path.join(self.work, "model"), "--precision", precision,
             "--image", os.path.join(self.work, "picture.png")],
            env=self.env, capture_output=True, text=True, check=True).stdout
        got = np.array(json.loads(out.splitlines()[-1])["embedding"])
        want = np.load(os.path.join(self.work, "embed.npy"))
        return float(got @ want / np.linalg.norm(got) / np.linalg.norm(want))

    def table(self, title, threads, processes):
        figures = {}
        for _ in range(ROUNDS):
            for batch in BATCHES:
                for label, engine, _ in ENGINES:
                    v = self.run(engine, batch, threads, processes)
                    figures.setdefault((engine, batch), []).append(v)
                    print(f"  {label}, batch {batch}: {v}", file=sys.stderr)
        for precision in ("fp32", "int8"):
            self.cosines[f"clipward-{precision}"] = self.our_cosine(precision)
        self.show(title, figures)

    def show(self, title, figures):
        print(f"\n{title}\n")
        print(f"{'engine':34}" + "".join(
            f"{'batch ' + str(b):>10}{'ours is':>10}" for b in BATCHES) +
              f"{'cosine':>12}")
        for label, engine, family in ENGINES:
            line, why = f"{label:34}", ""
            for b in BATCHES:
                values = figures[engine, b]
                if any(isinstance(v, str) for v in values):
                    why = next(v for v in values if isinstance(v, str))
                    break
                ours = figures["clipward-fp32" if family == "fp32"
                               else "clipward-int8", b]
                ratio = f"{median(ours) / median(values):.2f}x"
                if engine.startswith("clipward"):
                    ratio = ""
                line += f"{median(values):10.2f}{ratio:>10}"
            print(f"{label:34}  {why}" if why else
                  f"{line}{self.cosines[engine]:12.6f}")
        sys.stdout.flush()


def main():
    missing = dict(m.split("=", 1) for m in sys.argv[3:])
    b = Bench(sys.argv[1], sys.argv[2], missing)
    cores = len(os.sched_getaffinity(0))
    b.table("images/s, one thread", 1, 1)
    if cores > 1:
        b.table(f"images/s, {cores} processes of one thread each", 1, cores)
        sessions(b, cores)


def sessions(b, cores):
    """The whole machine: our workers beside one session with all threads."""
    figures = {}
    for _ in range(ROUNDS):
        for batch in BATCHES:
            for _, engine, _ in ENGINES:
                mine = engine.startswith("clipward")
                v = b.run(engine, batch, 1 if mine else cores,
                          cores if mine else 1)
                figures.setdefault((engine, batch), []).append(v)
    b.show(f"images/s, the whole machine: {cores} of our workers, one session "
           f"of {cores} threads of the others", figures)


if __name__ == "__main__":
    main()
