"""The most images/s that this CPU's multipliers leave to our engine.

What `limit` measures of the instructions, over what cost.py counts of an image.
"""
import os
import subprocess

from clip_dir import read_config
from cost import multiply_adds
from engines import environment, on_cores


class Limit:
    """Of so many cores, all busy at once; the best of what was measured."""

    def __init__(self, program, model):
        self.program = os.path.join(os.path.dirname(program),
                                    "tests/bench/limit")
        self.config = read_config(model)
        self.best = {}          # {(cores, precision): {kernel: 1e9 op/s}}

    def measure(self, cores):
        runs = [subprocess.Popen([self.program], env=environment(), text=True,
                                 stdout=subprocess.PIPE,
                                 preexec_fn=on_cores(cores))
                for _ in range(cores)]
        total = {}
        for run in runs:
            for text in run.communicate()[0].splitlines():
                precision, kernel, rate = text.split()
                key = precision, kernel
                total[key] = total.get(key, 0) + float(rate)
        for (precision, kernel), rate in total.items():
            known = self.best.setdefault((cores, precision), {})
            known[kernel] = max(rate, known.get(kernel, 0))

    def fastest(self, cores, precision):
        """(1e9 operations/s, kernel), or None."""
        known = self.best.get((cores, precision))
        return max((r, k) for k, r in known.items()) if known else None

    def images(self, cores, precision):
        """Images/s, or None; under int8 some products are in fp32."""
        fp32, own = (self.fastest(cores, p) for p in ("fp32", precision))
        if own is None:
            return None
        floats, bytes_ = multiply_adds(
            self.config["vision_config"], self.config["projection_dim"],
            own[1] if precision == "int8" else None)
        return 1e9 / (2 * floats / fp32[0] + 2 * bytes_ / own[0])

    def row(self, table, cores, precision):
        who = "this core's multipliers" if cores == 1 else \
            f"{cores} cores' multipliers, all busy"
        own = self.fastest(cores, precision)
        if own is None:
            table.absent(who, "not measured: this CPU has not even AVX2")
            return
        unit = "GFLOP/s" if precision == "fp32" else "Gop/s"
        rate = self.images(cores, precision)
        table.row(f"{who} ({own[1]}, {own[0]:.0f} {unit})", f"{rate:.2f}",
                  share=1)
