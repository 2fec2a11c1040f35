"""Print the figures of the starter model.

usage: evaluate.py --cache DIR --model DIR [--program build/clipward]
                   [--json FILE] [--failures FILE.png]

With --program every number comes from the C engine's own verdicts, and its
vectors are compared with PyTorch's; without, from PyTorch, and the localisation
row is missing. Beside each: chance, the same network with random weights, and a
lookup of the nearest training picture at 14 x 14 pixels. Pictures are of the two
held-out styles only.
"""
import argparse
import json
import os

import numpy as np
import torch
import yaml
from PIL import Image, ImageDraw

from captions import Bank, article
from icons import HERE
from scenes import SIDE, Scenes
from common import pixels

HELD_OUT = ("openmoji", "fluent-emoji-flat")
SHOWN = ("fluent-emoji-flat",)  # MIT; openmoji is SA: measured with, not shown
TEMPLATES = ["a photo of {}.", "a picture of {}.", "a drawing of {}."]
WEAPONS = ("gun", "knife", "sword", "axe", "bomb")


def names():
    return [article(w[0]) for w in Bank().words]


def concept_vectors(model, tokenizer):
    """[K, E]: the first word of each concept in the policies' templates."""
    texts = [t.format(n) for n in names() for t in TEMPLATES]
    e = model.text(torch.tensor(tokenizer(texts)))
    return torch.nn.functional.normalize(
        e.view(-1, len(TEMPLATES), e.shape[1]).mean(1), dim=-1)


def plain(scenes, rng, one_colour=False):
    """Every held-out drawing alone on white. -> pictures, concepts"""
    pictures, truth = [], []
    for k in scenes.known:
        for group in scenes.by_style[k].values():
            for i in group:
                pictures.append(ink_drawing(scenes, rng, k, i) if one_colour
                                else scenes.draw(rng, [k], True, True, [i])[0])
                truth.append(k)
    return pictures, np.array(truth)


def ink_drawing(scenes, rng, k, i):
    """The drawing in lines of one colour on white."""
    ink = scenes.ink_colour(rng, k, np.full(3, 255.0))
    edge = Image.fromarray(np.asarray(scenes.planes["edge"][i]))
    side = scenes.side
    size = int(rng.integers(side * 38 // 64, side))
    edge = edge.resize((size, size), Image.BILINEAR)
    canvas = Image.new("RGB", (side, side), (255, 255, 255))
    at = int(rng.integers(0, side - size + 1)), int(rng.integers(0, side - size + 1))
    canvas.paste(tuple(int(c) for c in ink), (*at, at[0] + size, at[1] + size), edge)
    return np.asarray(canvas)


def mixed(scenes, rng, n, count, must=None, among=None):
    """n scenes of `count` held-out drawings on mixed backgrounds; the first
    drawn is one of `must`, the others of `among`.
    -> pictures, kinds, shares, patch labels"""
    among = among if among is not None else scenes.known
    out = []
    while len(out) < n:
        kinds = [int(rng.choice(must))] if must is not None else []
        rest = [k for k in among if k not in kinds]
        kinds += [int(k) for k in rng.choice(rest, count - len(kinds), False)]
        order = rng.permutation(count)
        kinds = [kinds[o] for o in order]
        picture, share, label = scenes.draw(rng, kinds, as_is=True)
        out.append((picture, kinds, share, label))
    return [list(x) for x in zip(*out)]


def top1_plain(model, tokenizer, cache, style):
    """For the training's own log: PyTorch, one style."""
    scenes = Scenes(cache, style, model.side())
    pictures, truth = plain(scenes, np.random.default_rng(0))
    with torch.no_grad():
        u = model.image(pixels(np.stack(pictures)))[0]
        guess = (u @ concept_vectors(model, tokenizer).t()).argmax(1).numpy()
    return by_concept(guess, truth)


def by_concept(guess, truth):
    """Mean over concepts of the share that is right."""
    return float(np.mean([(guess[truth == k] == k).mean() for k in set(truth)]))


def auc(positive, negative):
    order = np.argsort(np.concatenate([positive, negative]), kind="stable")
    values = np.concatenate([positive, negative])[order]
    rank = np.empty(len(values))
    rank[order] = np.arange(1, len(values) + 1)
    for v in np.unique(values):                     # ties share their rank
        same = np.concatenate([positive, negative]) == v
        rank[same] = rank[same].mean()
    n, m = len(positive), len(negative)
    return float((rank[:n].sum() - n * (n + 1) / 2) / (n * m))


class Lookup:
    """The nearest training picture, compared at 14 x 14 pixels."""

    def __init__(self, scenes, rng, composed):
        self.small, self.label = [], []
        if composed:
            for _ in range(8000):
                kinds = [int(k) for k in rng.choice(scenes.known, 2, False)]
                picture, share, _ = scenes.draw(rng, kinds)
                self.add(picture, kinds[int(share.argmax())])
        else:
            for k in scenes.known:
                for group in scenes.by_style[k].values():
                    for i in group:
                        picture = scenes.draw(rng, [k], True, True, [i])[0]
                        self.add(picture, k)
                        self.add(picture[:, ::-1], k)
        self.small, self.label = np.stack(self.small), np.array(self.label)

    def add(self, picture, k):
        self.small.append(self.shrink(picture))
        self.label.append(k)

    @staticmethod
    def shrink(picture):
        return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize((14, 14), Image.BOX),
                          np.float32).ravel() / 255

    def distances(self, pictures):
        q = np.stack([self.shrink(p) for p in pictures])
        return ((q ** 2).sum(1)[:, None] - 2 * q @ self.small.T
                + (self.small ** 2).sum(1))

    def guess(self, pictures):
        return self.label[self.distances(pictures).argmin(1)]

    def violence(self, pictures, bad):
        d, bad = self.distances(pictures), np.isin(self.label, bad)
        return d[:, ~bad].min(1) - d[:, bad].min(1)


class Figures:
    def __init__(self, cache, backend, seed=0, lookup=True):
        self.cache, self.backend, self.seed = cache, backend, seed
        training = Scenes(cache)
        self.concepts, policy = training.concepts, training.policy
        self.bad = [k for k, p in enumerate(policy) if p == "violence"]
        self.good = [k for k, p in enumerate(policy) if p is None]
        self.weapons = [self.concepts.index(w) for w in WEAPONS]
        with open(os.path.join(HERE, "../../policies/violence.yaml"),
                  encoding="utf-8") as f:
            self.policy = yaml.safe_load(f)
        self.policy.pop("calibration", None)
        self.names = names()
        self.world = {
            "schema": "clipward.policy/1", "id": "world", "version": 1,
            "title": "Concepts of the starter's world", "templates": TEMPLATES,
            "categories": [{
                "id": "world.all", "title": "All", "severity": "low",
                "prompts": self.names,
                "reason": {"code": "NONE", "text": "A concept."}}],
            "neutral": ["an empty scene"], "score": "cosine",
            "thresholds": {"review": 1.0, "block": 1.0}}
        if lookup:
            rng = np.random.default_rng((seed, 7))
            self.lookups = (Lookup(training, rng, False),
                            Lookup(training, rng, True))

    def guesses(self, pictures):
        rows = self.backend.score(pictures, [self.world])
        cos = np.array([[r["scores"]["world"][n][0] for n in self.names]
                        for r in rows])
        return cos.argmax(1)

    def violence(self, pictures):
        rows = self.backend.score(pictures, [self.policy])
        return np.array([max(s for _, s in r["scores"]["violence"].values())
                         for r in rows])

    def style(self, style, compared=True):
        """-> {row: {ours, lookup, chance}} for one held-out style"""
        scenes = Scenes(self.cache, style)
        rng = np.random.default_rng((self.seed, 1))
        out, k = {}, len(self.concepts)
        near, near2 = self.lookups if compared else (None, None)
        pictures, truth = plain(scenes, rng)
        out["top-1 plain"] = {
            "ours": by_concept(self.guesses(pictures), truth),
            "lookup": near and by_concept(near.guess(pictures), truth),
            "chance": 1 / k, "n": len(truth)}
        two, kinds, shares, _ = mixed(scenes, rng, 400, 2)
        truth = np.array([q[int(s.argmax())] for q, s in zip(kinds, shares)])
        out["top-1 largest of 2"] = {
            "ours": float((self.guesses(two) == truth).mean()),
            "lookup": near and float((near2.guess(two) == truth).mean()),
            "chance": 1 / k, "n": len(two)}
        out["AUC violence plain"] = self.auc_row(*plain(scenes, rng), near)
        out["AUC violence plain, one colour"] = self.auc_row(
            *plain(scenes, rng, one_colour=True), near)
        bad = [b for b in self.bad if b in scenes.known]
        good = [g for g in self.good if g in scenes.known]
        with_, *_ = mixed(scenes, rng, 250, 4, must=bad, among=good)
        without, *_ = mixed(scenes, rng, 250, 4, among=good)
        truth = np.array([bad[0]] * len(with_) + [good[0]] * len(without))
        out["AUC violence scenes of 4"] = self.auc_row(with_ + without, truth, near2)
        out["top patch on the weapon, scenes of 4"] = self.localise(scenes, rng)
        return {row: v for row, v in out.items() if v}

    def auc_row(self, pictures, truth, near):
        use = np.isin(truth, self.bad + self.good)
        pictures = [p for p, u in zip(pictures, use) if u]
        bad = np.isin(truth[use], self.bad)
        s = self.violence(pictures)
        far = near and near.violence(pictures, self.bad)
        return {"ours": auc(s[bad], s[~bad]),
                "lookup": near and auc(far[bad], far[~bad]),
                "chance": 0.5, "n": len(s)}

    def localise(self, scenes, rng, n=200):
        """The additive map of the weapon's prompt: is its best patch on it?"""
        weapons = [w for w in self.weapons if w in scenes.known]
        good = [g for g in self.good if g in scenes.known]
        pictures, kinds, _, labels = mixed(scenes, rng, n, 4, weapons, good)
        hits, area, count = 0, 0.0, 0
        for w in weapons:
            some = [i for i in range(n) if w in kinds[i]]
            policy = dict(self.policy, thresholds={"review": 0, "block": 1},
                          categories=[dict(self.policy["categories"][0],
                                           prompts=[self.names[w]])],
                          explain={"when": "flagged", "top": 1})
            rows = self.backend.score([pictures[i] for i in some], [policy], True)
            for i, row in zip(some, rows):
                on = labels[i] == w
                if not row["maps"] or not on.any():
                    continue
                hits += bool(on[int(np.argmax(row["maps"][0]["values"]))])
                area += on.mean()
                count += 1
        return count and {"ours": hits / count, "lookup": None,
                          "chance": area / count, "n": count}


def parity(engine, model, pictures):
    """The smallest cosine between the engine's and PyTorch's vectors."""
    u = model.images(pictures).numpy()
    return min(float(engine.embed(p) @ v) for p, v in zip(pictures, u))


def draw_failures(figures, path, most=30, across=6):
    """A sheet of held-out plain drawings that are taken for something else."""
    wrong = []
    for style in SHOWN:
        scenes = Scenes(figures.cache, style)
        pictures, truth = plain(scenes, np.random.default_rng(0))
        for p, t, g in zip(pictures, truth, figures.guesses(pictures)):
            if t != g:
                wrong.append((p, figures.concepts[t], figures.concepts[g]))
    step = max(1, len(wrong) // most)
    wrong = wrong[::step][:most]
    rows = -(-len(wrong) // across)
    wide, tall = SIDE + 16, SIDE + 30
    sheet = Image.new("RGB", (across * wide, rows * tall), (255, 255, 255))
    pen = ImageDraw.Draw(sheet)
    for i, (picture, truth, guess) in enumerate(wrong):
        x, y = i % across * wide, i // across * tall
        sheet.paste(Image.fromarray(picture), (x + 8, y + 2))
        pen.text((x + 8, y + SIDE), truth, fill=(0, 110, 0))
        pen.text((x + 8, y + SIDE + 13), "> " + guess, fill=(190, 0, 0))
    sheet.quantize(64).save(path, optimize=True)


def main():
    from backends import Engine, Torch
    p = argparse.ArgumentParser()
    p.add_argument("--cache", required=True)
    p.add_argument("--model", required=True)
    p.add_argument("--program")
    p.add_argument("--json")
    p.add_argument("--failures")
    args = p.parse_args()
    torch.set_num_threads(1)
    model = Torch(args.model)
    backend = Engine(args.program, args.model) if args.program else model
    figures = Figures(args.cache, backend)
    random = Figures(args.cache, Torch(seed=5), lookup=False)
    table = {}
    print("| figure | style | starter | 14x14 lookup | random weights | chance "
          "| pictures |\n|---|---|---|---|---|---|---|")
    for style in HELD_OUT:
        table[style] = figures.style(style)
        other = random.style(style, compared=False)
        for row, v in table[style].items():
            v["random"] = other.get(row, {}).get("ours")
            cells = [v["ours"], v["lookup"], v["random"], v["chance"]]
            print(f"| {row} | {style} | " + " | ".join(
                "–" if c is None else f"{c:.3f}" for c in cells)
                + f" | {v['n']} |", flush=True)
    if args.program:
        scenes = Scenes(args.cache, HELD_OUT[0])
        some = plain(scenes, np.random.default_rng(0))[0][::8]
        print("engine against PyTorch, smallest cosine of "
              f"{len(some)} pictures: {parity(backend, model, some):.8f}")
    if args.failures:
        draw_failures(figures, args.failures)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump(table, f, indent=1, default=float)


if __name__ == "__main__":
    main()
