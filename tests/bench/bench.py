#!/usr/bin/env python3
"""bench.py CLIPWARD HOME WORK_DIR [missing ...]: all figures, one table.

`missing` are peers that bench.sh could not install, as name=reason.  In each
round every row runs once, one after another, so that what disturbs the machine
disturbs all of them alike; a figure is the median of the rounds.
"""
import os
import sys
from statistics import median

import numpy as np

import accuracy
import footprint
import verdicts
from engines import CORES, CPU_CLOCK, Clipward, Peers
from limit import Limit
from table import Table

ROUNDS = int(os.environ.get("CW_BENCH_ROUNDS", "3"))
SECONDS = float(os.environ.get("CW_BENCH_SECONDS", "1"))
BATCHES = [int(b) for b in os.environ.get("CW_BENCH_BATCHES", "1 8").split()]
ONLY = os.environ.get("CW_BENCH_ONLY", "").split()

# label, engine
FP32 = [
    ("ONNX Runtime fp32", "ort-fp32"),
    ("OpenVINO fp32", "openvino-f32"),
    ("PyTorch fp32", "torch-fp32"),
]
INT8 = [
    ("ONNX Runtime int8", "ort-int8"),
    ("ONNX Runtime int8, 7-bit weights", "ort-int7"),
    ("OpenVINO int8 (NNCF)", "openvino-int8"),
    ("faster-clip (int8 weights)", "faster-clip"),
]
BF16 = [
    ("OpenVINO as it comes", "openvino-auto"),
    ("PyTorch bf16", "torch-bf16"),
]
PEERS = FP32 + INT8 + BF16


class Encoding:
    """The image tower: pixels in, embedding out."""

    def __init__(self, table, ours, work, missing, limit):
        self.table, self.ours, self.work = table, ours, work
        self.missing, self.limit, self.kernel = missing, limit, {}
        want = np.load(os.path.join(work, "embed.npy"))
        picture = os.path.join(work, "picture.png")
        self.cosine = {}
        for p in ("fp32", "int8"):
            got = ours.embed(p, [picture])[0]
            self.cosine[p] = float(got @ want / np.linalg.norm(got) /
                                   np.linalg.norm(want))

    def measure(self, threads):
        """{(who, batch): [images/s]}, and what the peers said last; `who` of
        ours is (precision, processes)."""
        counts = sorted({1, threads})
        peers = Peers([e for _, e in PEERS], self.work, threads, self.missing)
        got, said = {}, {}

        def add(who, batch, rate):
            got.setdefault((who, batch), []).append(rate)
            print(f"  {who}, batch {batch}: {rate:.2f}", file=sys.stderr,
                  flush=True)

        for _ in range(ROUNDS):
            for n in counts:
                self.limit.measure(n)
            for batch in BATCHES:
                for precision in ("fp32", "int8"):
                    for n in counts:
                        rate, self.kernel[precision] = self.ours.encode(
                            precision, batch, SECONDS, n)
                        add((precision, n), batch, rate)
                for _, engine in PEERS:
                    a = peers.ask(engine, batch, SECONDS)
                    if a is not None:
                        add(engine, batch, a["images_per_s"])
                        said[engine] = a
        peers.stop()
        return {k: median(v) for k, v in got.items()}, said, peers.absent

    def us(self, got, precision, n, batch, **more):
        many = f", {n} workers" if n > 1 else ""
        rate, limit = got[(precision, n), batch], self.limit.images(n, precision)
        self.table.row(f"clipward {precision} ({self.kernel[precision]}){many}",
                       f"{rate:.2f}", cosine=self.cosine[precision],
                       share=limit and rate / limit, limit=limit, **more)

    def them(self, result, rows, precision, n, batch, want):
        got, said, absent = result
        ours = got[(precision, n), batch]
        for label, engine in rows:
            if engine in absent:
                self.table.absent(label, absent[engine], want)
                continue
            self.table.row(label, f"{got[engine, batch]:.2f}",
                           ratio=ours / got[engine, batch], want=want,
                           cosine=said[engine].get("cosine"),
                           over=got[engine, batch],
                           limit=self.limit.images(n, precision))

    def one_thread(self):
        result = self.measure(1)
        got = result[0]
        for batch in BATCHES:
            self.table.section(
                f"1: fp32, one thread, batch {batch}, images/s")
            self.limit.row(self.table, 1, "fp32")
            self.us(got, "fp32", 1, batch)
            self.them(result, FP32, "fp32", 1, batch,
                      (">=", 1.2 if batch == 1 else 1.1, "x"))
        for batch in BATCHES:
            self.table.section(
                f"2: int8, one thread, batch {batch}, images/s")
            self.limit.row(self.table, 1, "int8")
            self.us(got, "int8", 1, batch)
            self.them(result, INT8, "int8", 1, batch,
                      None if batch == 1 else (">=", 1.25, "x"))
            self.them(result, BF16, "int8", 1, batch, None)
            self.them(result, FP32[:1], "int8", 1, batch, (">=", 2, "x"))

    def whole_machine(self):
        n = len(CORES)
        if n == 1:
            self.table.section("3: the whole machine")
            self.table.absent("workers beside each other",
                              "only one core may be used here", (">=", 1.95,
                                                                 "x"))
            return
        result = self.measure(n)
        got = result[0]
        for batch in BATCHES:
            self.table.section(f"3: the whole machine, {n} workers beside "
                               f"sessions of {n} threads, batch {batch}, "
                               "images/s")
            for p in ("fp32", "int8"):
                one, all_ = got[(p, 1), batch], got[(p, n), batch]
                self.limit.row(self.table, 1, p)
                self.limit.row(self.table, n, p)
                self.us(got, p, 1, batch)
                self.us(got, p, n, batch, ratio=all_ / one, over=one,
                        want=(">=", 0.975 * n, "x"))
            self.them(result, FP32, "fp32", n, batch, (">=", 1.3, "x"))
            self.them(result, INT8 + BF16, "int8", n, batch, None)


def main():
    program, home, work = sys.argv[1:4]
    missing = dict(m.split("=", 1) for m in sys.argv[4:])
    table = Table()
    ours = Clipward(program, os.path.join(work, "model"))
    limit = Limit(program, ours.model)

    def wanted(figure):
        return not ONLY or figure in ONLY

    if wanted("1") or wanted("2") or wanted("3"):
        encoding = Encoding(table, ours, work, missing, limit)
        if wanted("1") or wanted("2"):
            encoding.one_thread()
        if wanted("3") and not CPU_CLOCK:
            encoding.whole_machine()
    if wanted("2") or wanted("accuracy"):
        accuracy.rows(table, program, home)
    if wanted("4"):
        verdicts.rows(table, ours, home, work, missing, limit, ROUNDS)
    if wanted("7") or wanted("8"):
        footprint.rows(table, ours)
    table.show()
    table.save(os.path.join(home, "bench.json"))


if __name__ == "__main__":
    main()
