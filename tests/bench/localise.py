#!/usr/bin/env python3
"""Does the map point at the object?  Explanation methods on scenes whose
objects' places are known.

usage: localise.py [--model DIR] [--scenes N] [--curves N] [--clipward BIN]

Scenes of one target among three distractors; the target's place goes round the
four corners and the centre.  With the starter model the objects are drawings
of a style it was never trained on (tests/data/sprites), with toy-scenes (its
vocabulary says so) coloured shapes.  Everything is measured through
`clipward scan --json`.  Columns as in the explanation's reference:

  point             highest patch lies on the target
  in-target         share of the above-average mass on it
  over-distractor   target's mean value above the strongest distractor's
  gap               area under insertion minus deletion of the margin, in logits
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
METHODS = ("additive", "similarity", "rollout", "raw", "random")
PLACES = ((0, 0), (0, 1), (1, 0), (1, 1), None)     # corners; None: the centre
COLOURS = {"red": (200, 40, 40), "green": (40, 170, 60), "blue": (50, 70, 210), "yellow": (210, 190, 40)}
SHAPES = ("circle", "square", "cross")


# ---- worlds: what can be drawn, and the sentence for it ----------------------

class Shapes:
    """Coloured shapes on a noisy ground, as toy-scenes knows them."""
    neutral, side, patch, size = "an empty scene", 48, 8, (13, 19)

    def __init__(self):
        self.kinds = [f"{c} {s}" for c in COLOURS for s in SHAPES]

    @staticmethod
    def prompt(kind):
        return f"a {kind}"

    def pick(self, pick, others):
        """A target, and others of another colour and shape than it."""
        target = pick.choice(self.kinds)
        return [target] + pick.sample([k for k in self.kinds if not set(k.split()) & set(target.split())], others)

    @staticmethod
    def sprite(rng, kind, size):
        colour, shape = kind.split()
        r = size / 2
        yy, xx = np.mgrid[0:size, 0:size] + 0.5 - r
        mask = {"circle": yy * yy + xx * xx <= r * r,
                "square": (abs(yy) <= .82 * r) & (abs(xx) <= .82 * r),
                "cross": (abs(yy) <= .3 * r) | (abs(xx) <= .3 * r)}[shape]
        rgb = np.clip(np.array(COLOURS[colour]) + rng.uniform(-25, 25, 3), 0, 255)
        return rgb * np.ones((size, size, 1)), mask.astype(float)

    def ground(self, rng):
        img = np.full((self.side, self.side, 3), rng.uniform(60, 190)) + rng.uniform(-25, 25, 3)
        grid = self.side // self.patch
        coarse = rng.normal(0, 14, (grid, grid, 3))
        return img + coarse.repeat(self.patch, 0).repeat(self.patch, 1)

    @staticmethod
    def finish(rng, img):
        return img + rng.normal(0, 12, img.shape)


class Drawings:
    """Drawings of a held-out style, as the starter model should know them."""
    neutral = None

    def __init__(self, side, patch):
        self.side, self.patch = side, patch
        # a third at most: one in the middle leaves room for the others
        self.size = (int(0.28 * side), int(0.32 * side))
        self.kinds = sorted(p.stem for p in (ROOT / "tests/data/sprites").glob("*.png"))
        self.pictures = {k: Image.open(ROOT / f"tests/data/sprites/{k}.png").convert("RGBA")
                         for k in self.kinds}

    @staticmethod
    def prompt(kind):
        return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"

    def pick(self, pick, others):
        return pick.sample(self.kinds, 1 + others)

    def sprite(self, _rng, kind, size):
        rgba = np.asarray(self.pictures[kind].resize((size, size), Image.LANCZOS)).astype(float)
        return rgba[..., :3], rgba[..., 3] / 255

    def ground(self, rng):
        return np.full((self.side, self.side, 3), rng.uniform(90, 250)) + rng.uniform(-20, 20, 3)

    @staticmethod
    def finish(_rng, img):
        return img


# ---- scenes ----------------------------------------------------------------

def place(rng, side, size, where, taken):
    for _ in range(200):
        if where == "any":
            y, x = rng.integers(0, side - size + 1, 2)
        elif where is None:
            y = x = (side - size) // 2
        else:
            y, x = (int(w * (side - size)) for w in where)
        if all(abs(y - ty) >= (size + ts) / 2 + abs(size - ts) / 2 or
               abs(x - tx) >= (size + ts) / 2 + abs(size - ts) / 2 for ty, tx, ts in taken):
            return y, x
    return None


def compose(world, rng, target, others, where):
    """-> picture [S,S,3] uint8, a boolean patch mask for each object; or None."""
    img, taken, masks = world.ground(rng), [], []
    grid, p = world.side // world.patch, world.patch
    for i, kind in enumerate([target] + others):
        size = int(rng.integers(world.size[0], world.size[1] + 1))
        spot = place(rng, world.side, size, where if i == 0 else "any", taken)
        if spot is None:
            return None
        y, x = spot
        rgb, alpha = world.sprite(rng, kind, size)
        cut = img[y:y + size, x:x + size]
        img[y:y + size, x:x + size] = cut + (rgb - cut) * alpha[..., None]
        taken.append((y, x, size))
        full = np.zeros((world.side, world.side))
        full[y:y + size, x:x + size] = alpha
        masks.append((full.reshape(grid, p, grid, p).mean((1, 3)) > 0.15).ravel())
    return np.clip(world.finish(rng, img), 0, 255).astype(np.uint8), masks


# ---- clipward ----------------------------------------------------------------

def policy_text(world):
    """One policy a kind, so that every kind has a decision and a map."""
    for i, kind in enumerate(world.kinds):
        neutral = [world.neutral] if world.neutral else \
            [world.prompt(k) for k in world.kinds if k != kind]
        yield f"k{i:02d}", json.dumps({
            "schema": "clipward.policy/1", "id": f"k{i:02d}", "version": 1, "title": kind,
            "templates": ["{}"], "score": "softmax", "neutral": neutral,
            "thresholds": {"review": 0.5, "block": 0.9}, "explain": {"when": "always", "top": 64},
            "categories": [{"id": f"k{i:02d}.it", "title": kind, "severity": "low",
                            "prompts": [world.prompt(kind)]}]})


def scan(args, policies, files, method=None):
    how = ["explain", "--all", "--method", method] if method else ["scan", "--explain", "never"]
    cmd = [args.clipward, *how, "--json", "--model", args.model, "--policies", str(policies), "--views", "center"]
    run = subprocess.run(cmd + [str(f) for f in files], capture_output=True, text=True, check=False)
    verdicts = [json.loads(line) for line in run.stdout.splitlines()]
    if len(verdicts) != len(files):
        sys.exit(f"localise: {run.stderr.strip()}")
    return verdicts


def margins(verdict, scale):
    """Log-odds of each policy, from the cosines (the score saturates)."""
    neutral = {}
    for n in verdict["neutral"]:
        neutral.setdefault(n["policy"], []).append(scale * n["cosine"])
    return {s["policy"]: scale * s["cosine"] - np.logaddexp.reduce(neutral[s["policy"]])
            for s in verdict["scores"]}


# ---- measures ----------------------------------------------------------------

def point_scores(value, masks):
    """(point, in-target, over-distractor) of one map."""
    above = np.clip(value - value.mean(), 0, None)
    others = [value[m].mean() for m in masks[1:] if m.any()]
    return (float(masks[0][value.argmax()]), above[masks[0]].sum() / max(above.sum(), 1e-9),
            float(value[masks[0]].mean() > max(others)))


def perturbed(img, order, keep, world, fill):
    grid, p = world.side // world.patch, world.patch
    m = np.zeros(grid * grid, bool)
    m[order] = True
    m = m.reshape(grid, grid).repeat(p, 0).repeat(p, 1)[..., None]
    return np.where(m == keep, img, fill).astype(np.uint8)


def gaps(args, world, policies, folder, scenes, maps, scale, fill):
    """Mean over scenes of area(insertion) - area(deletion), per method."""
    grid, steps = (world.side // world.patch) ** 2, 12
    out = {}
    for method in METHODS:
        files, owner = [], []
        for i, (img, _, kind) in enumerate(scenes[:args.curves]):
            rank = np.argsort(-maps[method][i], kind="stable")
            for k in range(steps + 1):
                for keep in (False, True):
                    f = folder / f"p-{len(files)}.png"
                    Image.fromarray(perturbed(img, rank[:round(k * grid / steps)], keep, world, fill)).save(f)
                    files.append(f)
                    owner.append((i, keep, kind))
        area = {}
        for start in range(0, len(files), 400):
            for v, (i, keep, kind) in zip(scan(args, policies, files[start:start + 400]), owner[start:start + 400]):
                area.setdefault((i, keep), []).append(margins(v, scale)[f"k{world.kinds.index(kind):02d}"])
        mean = {k: np.mean((np.array(c[1:]) + np.array(c[:-1])) / 2) for k, c in area.items()}
        diffs = [mean[(i, True)] - mean[(i, False)] for i in range(min(args.curves, len(scenes)))]
        out[method] = np.array(diffs)
    return out


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--model", default=str(ROOT / "models/starter"))
    ap.add_argument("--scenes", type=int, default=500)
    ap.add_argument("--curves", type=int, default=64)
    ap.add_argument("--clipward", default=str(ROOT / "build/clipward"))
    ap.add_argument("--distractors", type=int, default=3)
    args = ap.parse_args()
    with open(os.path.join(args.model, "config.json"), encoding="utf-8") as f:
        vision = json.load(f)["vision_config"]
    side = vision["image_size"]
    world = Shapes() if side == Shapes.side else Drawings(side, vision["patch_size"])
    info = json.loads(subprocess.run([args.clipward, "model", "info", "--json", args.model],
                                     capture_output=True, text=True, check=True).stdout)
    fill = 127.5 if isinstance(world, Shapes) else np.array([122.77, 116.75, 104.09])
    rng, pick = np.random.default_rng(7), random.Random(7)
    scenes = []
    while len(scenes) < args.scenes:
        kinds = world.pick(pick, args.distractors)
        made = compose(world, rng, kinds[0], kinds[1:], PLACES[len(scenes) % len(PLACES)])
        if made is not None:
            scenes.append((*made, kinds[0]))
    with tempfile.TemporaryDirectory() as tmp:
        folder = pathlib.Path(tmp)
        policies = folder / "policies"
        policies.mkdir()
        for name, text in policy_text(world):
            (policies / f"{name}.yaml").write_text(text)
        files = []
        for i, (img, _, _) in enumerate(scenes):
            files.append(folder / f"s-{i:04d}.png")
            Image.fromarray(img).save(files[-1])
        maps, seen = {}, 0
        for method in METHODS:
            if method == "random":
                maps[method] = [rng.random((world.side // world.patch) ** 2) for _ in scenes]
                continue
            maps[method] = []
            for start in range(0, len(files), 100):
                for v, (_, _, kind) in zip(scan(args, policies, files[start:start + 100], method),
                                           scenes[start:start + 100]):
                    own = f"k{world.kinds.index(kind):02d}"
                    maps[method].append(np.array(next(m["values"] for m in v["maps"] if m["policy"] == own)))
                    best = max(v["scores"], key=lambda s: s["cosine"])
                    seen += method == METHODS[0] and best["policy"] == own
        curve = gaps(args, world, policies, folder, scenes, maps, info["logit_scale"], fill)
    area = np.mean([m[0].mean() for _, m, _ in scenes])
    print(f"{len(scenes)} scenes, 1 target and {args.distractors} distractors, {info['name']} "
          f"{info['sha256'][:12]}; target on {100 * area:.1f} % of the patches; named first in {100 * seen / len(scenes):.0f} %")
    print(f"{'method':12} {'point':>6} {'in-target':>10} {'over-distractor':>16} {'gap':>7}   difference of gap")
    for method in METHODS:
        rows = np.array([point_scores(m, s[1]) for m, s in zip(maps[method], scenes)]).mean(0)
        d = curve[method] - curve[METHODS[0]]
        vs = "" if method == METHODS[0] else f"{d.mean():+7.2f} +- {d.std() / max(1, len(d)) ** 0.5:.2f}"
        print(f"{method:12} {rows[0]:6.2f} {rows[1]:10.2f} {rows[2]:16.2f} {curve[method].mean():7.2f}   {vs}")


main()
