#!/usr/bin/env python3
"""Prove that nothing held out was trained on. Standard library only.

hashes.txt lists every drawing of the world: `train` or `held-out`, the SHA-256
of its SVG body (blind to white space, ids and decimals), package, name. Checked:
no hash is on both sides, no held-out package on the training side, and every
listed name stands in world.yaml.
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    with open(os.path.join(HERE, "hashes.txt"), encoding="ascii") as f:
        rows = [line.split() for line in f]
    with open(os.path.join(HERE, "world.yaml"), encoding="utf-8") as f:
        world = f.read()
    packages = set(re.search(r"^held_out: \[(.*)\]$", world, re.M)
                   .group(1).split(", "))
    hashes = {side: {r[1] for r in rows if r[0] == side}
              for side in ("train", "held-out")}
    names = set(re.findall(r"[\w-]+", world))
    faults = []
    if not all(len(r) == 4 and len(r[1]) == 64 for r in rows):
        faults.append("hashes.txt: a line is not SIDE SHA256 PACKAGE NAME")
    if min(map(len, hashes.values())) == 0:
        faults.append("hashes.txt: one side is empty")
    for digest in sorted(hashes["train"] & hashes["held-out"]):
        twins = [f"{r[2]}:{r[3]}" for r in rows if r[1] == digest]
        faults.append("held out and trained on: " + " ".join(twins))
    for side, _, package, name in rows:
        if (package in packages) != (side == "held-out"):
            faults.append(f"{package}:{name} is listed as {side}")
        if name not in names:
            faults.append(f"{package}:{name} is not in world.yaml")
    for fault in faults:
        print("check_heldout:", fault, file=sys.stderr)
    print(f"{len(hashes['train'])} training drawings, "
          f"{len(hashes['held-out'])} held out, "
          f"{len(hashes['train'] & hashes['held-out'])} in both")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
