"""Bytes to verdict: `clipward scan` beside a script of Pillow and ONNX Runtime.

A scan's start (programs, model, the policy's texts) is not in its figure: two
scans of different length are timed, and the figure is the pictures between
them over the seconds between them.
"""
import os
import resource
import subprocess
import time
from datetime import datetime
from statistics import median

import numpy as np

import pictures
from engines import CORES, CPU_CLOCK, Peers, environment, on_cores

WANT = {"12 MP": 3, "2 MP": 2, "640x480": 1.5}
SHORT = 8                       # pictures of the shorter scan, a worker
LONGER = {"fp32": 16, "int8": 32}       # and of the longer one beyond that
PEERS = [
    ("Pillow + ONNX Runtime fp32", "pillow-ort"),
    ("the same with Pillow's draft mode", "pillow-draft-ort"),
    ("faster-clip", "faster-clip"),
]
POLICY = """schema: clipward.policy/1
id: bench
version: 1
title: bench
templates: ["a photo of {}."]
score: softmax
thresholds: {review: 0.6, block: 0.9}
neutral: [a red table, a small cup]
categories:
  - id: bench.it
    title: it
    severity: low
    prompts: [a large house, an old boat]
"""


def clock():
    """Seconds that pass, or that our commands have computed."""
    if not CPU_CLOCK:
        return time.perf_counter()
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def spent_ms(pid):
    """Processor time of a running process."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
        return int(f.read().split()[0]) / 1e6


def worker_of(pid):
    """The one child of a scan."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return int(f.read())


class Scan:
    def __init__(self, ours, policies):
        self.ours, self.policies = ours, policies

    def verdicts(self, files, precision, workers, *more):
        args = self.ours.command(
            "scan", "--json", "--precision", precision, "--policies",
            self.policies, "--workers", str(workers), *more, *files)
        got = self.ours.lines(args, workers, (0, 1))
        bad = [v for v in got if v["decision"] == "error"]
        if bad or len(got) != len(files):
            raise RuntimeError(f"scan: {bad[:1] or len(got)}")
        return got

    def seconds(self, *how):
        start = clock()
        self.verdicts(*how)
        return clock() - start

    def paces(self, files, precision, count, views="center"):
        """Images a second with one worker, from reading the first to scoring
        the last, by the verdicts' own times; and of the worker alone, without
        what the command does: reading, and writing the verdicts."""
        got = self.verdicts((files * count)[:count], precision, 1, "--views",
                            views, "--explain", "never")
        ends = [datetime.fromisoformat(v[k].replace("Z", "+00:00"))
                for v in got for k in ("received_at", "scored_at")]
        busy = sum(v["timing_ms"][k] for v in got for k in
                   ("decode", "preprocess", "encode", "score")) / 1000
        return count / (max(ends) - min(ends)).total_seconds(), count / busy

    def costs(self, files, precision, count):
        """Processor milliseconds a picture of the worker and of the command,
        between two verdicts; before the first of them both have started, and
        after the second there is more to do for both."""
        first, last = count // 6, count - count // 6
        args = self.ours.command(
            "scan", "--json", "--precision", precision, "--policies",
            self.policies, "--workers", "1", "--views", "center", "--explain",
            "never", *(files * count)[:count])
        with subprocess.Popen(args, env=environment(),
                              preexec_fn=on_cores(1),
                              stdout=subprocess.PIPE) as scan:
            marks = []
            for i, _ in enumerate(scan.stdout, 1):
                if i in (first, last):
                    marks.append([spent_ms(worker_of(scan.pid)),
                                  spent_ms(scan.pid)])
        if len(marks) != 2:
            raise RuntimeError("scan: a verdict is missing")
        return [(b - a) / (last - first) for a, b in zip(*marks)]

    def rate(self, files, precision, workers, longer, *more):
        """Images a second beyond a scan of SHORT for each worker."""
        short, longer = SHORT * workers, longer * workers
        several = files * (1 + (short + longer) // len(files))
        a = self.seconds(several[:short], precision, workers, *more)
        b = self.seconds(several[:short + longer], precision, workers, *more)
        return longer / max(b - a, 1e-3)


class Section:
    """One size of picture on so many cores."""

    def __init__(self, table, scan, peers, limit, files, cores, rounds):
        self.table, self.scan, self.peers = table, scan, peers
        self.limit, self.files, self.cores = limit, files, cores
        self.got = {}
        for _ in range(rounds):
            self.once()

    def add(self, who, rate):
        self.got.setdefault(who, []).append(rate)

    def once(self):
        """Every row in turn; peers with one picture and with eight."""
        alike = ("--views", "center", "--explain", "never")
        self.limit.measure(self.cores)
        for p in ("fp32", "int8"):
            self.add(p, self.scan.rate(self.files, p, self.cores, LONGER[p],
                                       *alike))
        for _, engine in PEERS:
            for batch in (1, 8):
                a = self.peers.ask(engine, batch, 0.5, self.files)
                if a is not None:
                    self.add((engine, batch), a["images_per_s"])

    def best(self, engine):
        return max((median(self.got[engine, b]), b) for b in (1, 8))

    def show(self, name, cosine):
        mine = {p: median(self.got[p]) for p in ("fp32", "int8")}
        for p in ("fp32", "int8"):
            limit = self.limit.images(self.cores, p)
            self.limit.row(self.table, self.cores, p)
            self.table.row(f"clipward scan {p}, centre view",
                           f"{mine[p]:.2f}", cosine=cosine[p],
                           share=limit and mine[p] / limit)
            for label, engine in PEERS if p == "fp32" else PEERS[:1]:
                want = (">=", WANT[name], "x") \
                    if engine == "pillow-ort" and p == "fp32" else None
                if engine in self.peers.absent:
                    self.table.absent(label, self.peers.absent[engine], want)
                    continue
                rate, batch = self.best(engine)
                self.table.row(f"{label}, {batch} at a time" +
                               (", beside int8" if p == "int8" else ""),
                               f"{rate:.2f}", ratio=mine[p] / rate, want=want,
                               over=rate, limit=limit)


def angles(ours, files):
    """The lowest cosine of scaled against full decoding, a precision."""
    lowest = {}
    for p in ("fp32", "int8"):
        full = ours.embed(p, files)
        scaled = ours.embed(p, files, "--scaled")
        lowest[p] = float(np.min(np.sum(full * scaled, 1)))
    return lowest


def rows(table, ours, home, work, missing, limit, rounds):
    files = pictures.photos(os.path.join(home, "pictures"))
    policies = os.path.join(work, "bench.yaml")
    with open(policies, "w", encoding="utf-8") as f:
        f.write(POLICY)
    scan = Scan(ours, policies)
    cosine = {n: angles(ours, f) for n, f in files.items()}
    for cores in [1] if CPU_CLOCK else sorted({1, len(CORES)}):
        peers = Peers([e for _, e in PEERS], work, cores, missing)
        for name, paths in files.items():
            bytes_ = sum(os.path.getsize(p) for p in paths) / len(paths)
            where = "one core" if cores == 1 else \
                f"{cores} cores, one process of the others"
            table.section(f"4: {name} JPEG of {bytes_ / 1e6:.2f} MB to "
                          f"verdict, {where}, images/s; cosine to the full "
                          "decode")
            section = Section(table, scan, peers, limit, paths, cores,
                              rounds)
            section.show(name, cosine[name])
            if cores == 1:
                table.row("cosine of scaled decoding, fp32",
                          f"{cosine[name]['fp32']:.6f}",
                          want=(">=", 0.999, ""), got=cosine[name]["fp32"])
            if cores == 1 and not CPU_CLOCK:
                usual = scan.paces(paths, "fp32", SHORT, "auto")[0]
                table.row("clipward scan fp32, views: auto (3 views each)",
                          f"{usual:.2f}")
        peers.stop()
