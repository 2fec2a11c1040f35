#!/usr/bin/env python3
"""growth.py CLIPWARD HOME: how images/s grow, as a table and a plot.

Against the batch, the workers, the prompts, the picture's size and the model.
In every round all points of a curve run once, one after another; a figure is
the median of the rounds.  The plot is HOME/growth.svg.
"""
import os
import sys
import tempfile
from statistics import median

import pictures
from accuracy import model_of
from engines import CORES, CPU_CLOCK, Clipward
from plot import Panel, save
from verdicts import Scan

ROUNDS = int(os.environ.get("CW_BENCH_ROUNDS", "3"))
SECONDS = float(os.environ.get("CW_BENCH_SECONDS", "1"))
BATCHES = (1, 2, 4, 8, 16, 32, 64)
PROMPTS = (10, 100, 1000, 5000)
SHAPES = ("ViT-B/32", "ViT-B/16", "ViT-L/14")
PRECISIONS = ("fp32", "int8")
SLOWER = 0.02           # at most, for 5,000 prompts


def policy(prompts):
    """Text of a policy with so many prompts, half of them neutral."""
    names = [f"{a} {b} {i}" for i in range(250)
             for a in ("small", "large", "red", "old") for b in
             ("gun", "table", "car", "house", "cup")][:prompts]
    half = prompts // 2
    lines = ["schema: clipward.policy/1", "id: growth", "version: 1",
             "title: growth", 'templates: ["{}"]', "score: softmax",
             "thresholds: {review: 0.6, block: 0.9}", "neutral:"]
    lines += [f"  - {n}" for n in names[:half]]
    lines += ["categories:"]
    for at in range(half, prompts, 100):
        lines += [f"  - id: growth.c{at}", f"    title: c{at}",
                  "    severity: low", "    prompts:"]
        lines += [f"      - {n}" for n in names[at:min(at + 100, prompts)]]
    return "\n".join(lines) + "\n"


def rounds(points, measure):
    """{point: median of measure(point)}, the points in turn."""
    got = {p: [] for p in points}
    for _ in range(ROUNDS):
        for p in points:
            got[p].append(measure(p))
            print(f"  {p}: {got[p][-1]:.2f}", file=sys.stderr, flush=True)
    return {p: median(v) for p, v in got.items()}


class Growth:
    def __init__(self, program, home):
        self.program, self.home = program, home
        self.ours = Clipward(program, model_of(home, SHAPES[0]))
        self.panels = []

    def curve(self, title, axis, got, labels, log=True):
        """got: {(curve, x): images/s}, printed and plotted."""
        xs = sorted({x for _, x in got}, key=lambda x: labels.index(x))
        print(f"\n{title}, images/s\n")
        print(f"{axis:14}" + "".join(f"{x:>10}" for x in xs))
        panel = Panel(title, axis, xs, log)
        for p in dict.fromkeys(p for p, _ in got):
            values = [got[p, x] for x in xs]
            print(f"{p:14}" + "".join(f"{v:10.2f}" for v in values))
            panel.add(p, values)
        self.panels.append(panel)
        sys.stdout.flush()

    def batches(self):
        points = [(p, b) for p in PRECISIONS for b in BATCHES]
        got = rounds(points, lambda at: self.ours.encode(
            at[0], at[1], SECONDS, 1, 1)[0])
        self.curve("batch, one worker", "batch", got, list(BATCHES))

    def workers(self):
        counts = list(range(1, len(CORES) + 1))
        got = rounds([(p, n) for p in PRECISIONS for n in counts],
                     lambda at: self.ours.encode(at[0], 8, 2 * SECONDS,
                                                 at[1])[0])
        self.curve("workers, batch 8", "workers", got, counts, False)
        for p in PRECISIONS:
            print(f"{p}: {got[p, counts[-1]] / got[p, 1]:.3f} times one")

    @staticmethod
    def pace(scan, files):
        """Pictures a second with a worker and the command, and of the worker
        alone; by processor time, each waits for nobody."""
        if not CPU_CLOCK:
            return scan.paces(files, "fp32", 48)
        worker, command = scan.costs(files, "fp32", 48)
        return 1000 / (worker + command), 1000 / worker

    def prompts(self):
        """Verdicts of `clipward scan`; the texts are encoded before."""
        files = pictures.photos(os.path.join(self.home, "pictures"))
        with tempfile.TemporaryDirectory() as folder:
            scans = {}
            for n in PROMPTS:
                path = os.path.join(folder, f"{n}.yaml")
                with open(path, "w", encoding="utf-8") as f:
                    f.write(policy(n))
                scans[n] = Scan(self.ours, path)
            got = {}
            for _ in range(ROUNDS):
                for n in PROMPTS:
                    both = self.pace(scans[n], files["640x480"])
                    for who, rate in zip(("command", "worker"), both):
                        got.setdefault((who, n), []).append(rate)
                    print(f"  {n}: {both}", file=sys.stderr, flush=True)
        got = {k: median(v) for k, v in got.items()}
        self.curve("prompts, 640x480 JPEG to verdict, fp32", "prompts", got,
                   list(PROMPTS))
        for n in PROMPTS:
            worker = 1000 / got["worker", n]
            print(f"{n} prompts: {worker:.2f} ms a picture in the worker and "
                  f"{1000 / got['command', n] - worker:.2f} ms beside it")
        for who in ("worker", "command"):
            slower = 1 - got[who, PROMPTS[-1]] / got[who, PROMPTS[0]]
            print(f"{who}: {100 * slower:.2f} % slower with {PROMPTS[-1]} "
                  f"prompts than with {PROMPTS[0]}; want under "
                  f"{100 * SLOWER:.0f} %: {'yes' if slower < SLOWER else 'NO'}")

    def sizes(self):
        files = pictures.photos(os.path.join(self.home, "pictures"))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "p.yaml")
            with open(path, "w", encoding="utf-8") as f:
                f.write(policy(10))
            scan = Scan(self.ours, path)
            got = rounds([(p, s) for p in PRECISIONS for s in files],
                         lambda at: scan.paces(files[at[1]], at[0],
                                              24)[0])
        self.curve("JPEG to verdict, centre view, one worker", "picture", got,
                   list(reversed(files)), False)

    def shapes(self):
        models = {s: Clipward(self.program, model_of(self.home, s))
                  for s in SHAPES}
        got = rounds([(p, s) for p in PRECISIONS for s in SHAPES],
                     lambda at: models[at[1]].encode(
                         at[0], 8, SECONDS, 1, 1)[0])
        self.curve("model, batch 8, one worker", "model", got, list(SHAPES),
                   False)


def main():
    growth = Growth(*sys.argv[1:3])
    parts = ["batches", "workers", "prompts", "sizes", "shapes"]
    if CPU_CLOCK:
        parts = ["batches", "prompts", "shapes"]
    only = os.environ.get("CW_BENCH_ONLY", "").split()
    for part in [p for p in parts if not only or p in only]:
        getattr(growth, part)()
    path = os.path.join(sys.argv[2], "growth.svg")
    save(path, growth.panels)
    print(f"\nplot: {path}")


if __name__ == "__main__":
    main()
