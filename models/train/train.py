"""Train the starter model. Two processes of one thread each, gradients averaged.

usage: train.py --cache DIR --out DIR [--steps N] [--seed N] [--tag WORD]

Losses: every picture against one caption of each concept, of what is outside
the world and of things it never shows (targets: the share of the drawing that
each concept has); pictures against whole listings in the batch; and, fading
out, pictures against one learnt vector a concept and concepts per picture and
per patch from linear heads, none of which ship.
Resumes from DIR/state.pt; the same seed and number of processes give the same
stream of pictures.
"""
import argparse
import datetime
import json
import math
import os
import sys
import time

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

import bpe
from muon import Muon
from captions import Bank
from model import CONFIG, Clip
from scenes import Scenes

BATCH = 64              # pictures per process and step
FRESH = 32              # of which newly drawn; the rest are drawn before
POOL = 2048             # pictures remembered
OTHERS, NEVER = 3, 20   # captions of the bank beside one per concept
KEEP = 24               # patches looked at before the last part of the training
FULL_FROM = 0.7         # share of the steps after which all patches are seen
AUX_UNTIL = 0.9         # share of the steps after which the helpers are gone
TEXT_EVERY = 5          # until TEXT_FROM, sentences take part in one step of five
TEXT_FROM = 0.6
ADAM_LR = 2e-3
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def pixels(images):
    x = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    return (x.float() / 255 - mean) / std


class Pool:
    """Pictures drawn so far; each is used about BATCH / FRESH times."""

    def __init__(self, scenes):
        self.scenes, self.items = scenes, []

    def batch(self, rng, done, size=BATCH, fresh=FRESH):
        want = fresh if len(self.items) >= size else size
        for _ in range(want):
            item = self.scenes.random(rng, max(0.35, 0.8 - 3 * done))
            if len(self.items) < POOL:
                self.items.append(item)
            else:
                self.items[rng.integers(POOL)] = item
        picked = [self.items[i] for i in
                  rng.choice(len(self.items), size, replace=False)]
        images = np.stack([p[1] for p in picked])
        return picked, images, np.stack([p[3] for p in picked])


class Trainer:
    def __init__(self, args, rank, world_size):
        self.args, self.rank, self.n = args, rank, world_size
        self.scenes, self.bank = Scenes(args.cache), Bank()
        merges = bpe.train(self.bank.corpus(np.random.default_rng(1)),
                           CONFIG["merges"])
        self.tokenizer = bpe.Tokenizer(merges, CONFIG["context"])
        torch.manual_seed(args.seed)
        self.model = Clip(CONFIG, len(self.tokenizer.vocab))
        self.model.start_patches(self.some_patches())
        k, d = self.bank.other + 1, CONFIG["width"]
        self.helpers = nn.ModuleDict({"picture": nn.Linear(d, k),
                                      "patch": nn.Linear(d, k + 1),
                                      "names": nn.Linear(CONFIG["embed"], k,
                                                         bias=False)})
        self.sort_parameters(args, rank, world_size)
        self.average = {n: p.detach().clone()
                        for n, p in self.model.named_parameters()}
        self.step, self.seconds = 0, 0.0
        self.pool = Pool(self.scenes)
        if args.start:
            self.load(torch.load(args.start), weights_only=True)
        self.path = os.path.join(args.out, "state.pt")
        if os.path.exists(self.path):
            self.load(torch.load(self.path))

    def sort_parameters(self, args, rank, n):
        """Matrices of the encoders go to Muon, the rest to AdamW."""
        matrices = [p for name, p in self.model.named_parameters()
                    if "encoder" in name and p.dim() == 2]
        chosen = {id(p) for p in matrices}
        decay = [p for p in self.all_parameters()
                 if p.dim() > 1 and id(p) not in chosen]
        rest = [p for p in self.all_parameters() if p.dim() < 2]
        self.opts = (
            Muon(matrices, args.lr, decay=0.02, rank=rank, n=n),
            torch.optim.AdamW([{"params": decay, "weight_decay": 0.02},
                               {"params": rest, "weight_decay": 0.0}],
                              lr=ADAM_LR, betas=(0.9, 0.98), fused=True))
        self.peaks = [[g["lr"] for g in o.param_groups] for o in self.opts]

    def some_patches(self, n=300):
        rng, p = np.random.default_rng(2), CONFIG["patch"]
        x = pixels(np.stack([self.scenes.random(rng)[1] for _ in range(n)]))
        x = x.unfold(2, p, p).unfold(3, p, p).permute(0, 2, 3, 1, 4, 5)
        return x.reshape(-1, 3 * p * p)

    def all_parameters(self):
        return [*self.model.parameters(), *self.helpers.parameters()]

    def load(self, state, weights_only=False):
        self.model.load_state_dict(state["model"])
        self.helpers.load_state_dict(state["helpers"])
        self.average = {n: p.detach().clone() for n, p in state["average"].items()}
        if weights_only:
            return
        for opt, saved in zip(self.opts, state["opts"]):
            opt.load_state_dict(saved)
        self.step, self.seconds = state["step"], state["seconds"]

    def save(self):
        state = {"model": self.model.state_dict(), "average": self.average,
                 "helpers": self.helpers.state_dict(),
                 "opts": [o.state_dict() for o in self.opts],
                 "step": self.step,
                 "seconds": self.seconds, "merges": self.tokenizer.merges,
                 "config": CONFIG, "args": vars(self.args)}
        torch.save(state, self.path + ".new")
        os.replace(self.path + ".new", self.path)

    # -- one step ----------------------------------------------------------
    def bank_texts(self, rng):
        texts = [self.bank.caption(rng, k) for k in range(self.bank.other)]
        texts += [self.bank.caption(rng, self.bank.other) for _ in range(OTHERS)]
        texts += [self.bank.negative(rng) for _ in range(NEVER)]
        return texts

    def targets(self, picked):
        """[B, K + 1]: the share of all that is drawn which each concept has;
        the last column is for pictures without any."""
        t = np.zeros((len(picked), self.bank.other + 1), np.float32)
        for row, (kinds, _, share, _) in zip(t, picked):
            for c, s in zip(kinds, share):
                if c != self.bank.other:
                    row[c] += s + 0.01
            if not row.any():
                row[-1] = 1
            row /= row.sum()
        return torch.from_numpy(t)

    def losses(self, rng, done):
        picked, images, label = self.pool.batch(rng, done)
        x = pixels(images)
        keep = None
        label = torch.from_numpy(label)
        if done < FULL_FROM:
            g = torch.from_numpy(rng.random(label.shape))
            keep = g.argsort(1)[:, :KEEP].sort(1).values
            label = label.gather(1, keep)
        u, pooled, patches = self.model.image(x, keep)
        target = self.targets(picked)
        vectors = F.normalize(self.helpers["names"].weight, dim=-1)
        logits = self.model.scale() * u @ vectors.t()
        named = -(target * logits.log_softmax(1)).sum(1).mean()
        right = (logits.argmax(1) == target.argmax(1)).float().mean()
        parts = {"named": named.item(), "right": right.item()}
        with_text = done >= TEXT_FROM or self.step % TEXT_EVERY == 0
        told = 0.0
        if with_text:
            told = self.text_losses(rng, picked, u, target, vectors, parts)

        present = np.zeros((len(picked), self.bank.other + 1), np.float32)
        for row, p in zip(present, picked):
            row[p[0]] = 1
        helper = 8 * F.binary_cross_entropy_with_logits(
            self.helpers["picture"](pooled), torch.from_numpy(present))
        spots = F.cross_entropy(self.helpers["patch"](patches).flatten(0, 1),
                                label.flatten())
        aux = max(0.0, 1 - done / AUX_UNTIL)
        parts["patch"] = spots.item()
        early = max(0.0, 1 - done / TEXT_FROM)
        total = (told + (0.2 + early) * named + aux * helper
                 + (0.1 + aux) * spots)
        return total, parts

    def text_losses(self, rng, picked, u, target, vectors, parts):
        """Pictures against the bank's sentences and the batch's listings, and
        sentences against the concepts they name."""
        k = self.bank.other
        texts = self.bank_texts(rng)
        columns = len(texts)
        texts += [self.bank.listing(rng, p[0]) for p in picked]
        e = self.model.text(torch.tensor(self.tokenizer(texts)))
        logits = self.model.scale() * u @ e.t()
        wide = torch.cat([target[:, :k],
                          target[:, k:].expand(-1, OTHERS) / OTHERS,
                          torch.zeros(len(picked), NEVER)], 1)
        bank = -(wide * logits[:, :columns].log_softmax(1)).sum(1).mean()
        back = wide / wide.sum(0, keepdim=True).clamp(min=1e-6)
        seen = wide.sum(0) > 0
        back = -(back * logits[:, :columns].log_softmax(0)).sum(0)[seen].mean()

        sets = [tuple(sorted({c for c in p[0] if c != k})) for p in picked]
        same = torch.tensor([[float(a == b) for b in sets] for a in sets])
        same = same / same.sum(1, keepdim=True)
        pair = logits[:, columns:]
        pair = -(same * (pair.log_softmax(1) + pair.log_softmax(0).t())
                 ).sum(1).mean() / 2

        meant = torch.tensor([*range(k), *[k] * OTHERS])
        sense = self.model.scale() * e[:len(meant)] @ vectors.t()
        sense = F.cross_entropy(sense, meant)
        parts.update(bank=bank.item(), pair=pair.item(), sense=sense.item())
        return bank + 0.3 * back + 0.3 * pair + 0.3 * sense

    def run(self):
        started = time.time() - self.seconds
        seen = {}
        while self.step < self.args.steps:
            done = self.step / self.args.steps
            rng = np.random.default_rng((self.args.seed, self.rank, self.step))
            warm = min(1.0, (self.step + 1) / 200)
            pace = warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
            for opt, peaks in zip(self.opts, self.peaks):
                for group, peak in zip(opt.param_groups, peaks):
                    group["lr"] = peak * pace
            loss, parts = self.losses(rng, done)
            for p in self.all_parameters():
                p.grad = None
            loss.backward()
            self.exchange()
            nn.utils.clip_grad_norm_(self.all_parameters(), 5.0)
            for opt in self.opts:
                opt.step()
            follow = min(0.998, (1 + self.step) / (10 + self.step))
            with torch.no_grad():
                for n, p in self.model.named_parameters():
                    self.average[n].lerp_(p, 1 - follow)
            self.step += 1
            self.seconds = time.time() - started
            for k, v in parts.items():
                seen[k] = 0.95 * seen.get(k, v) + 0.05 * v
            if self.rank == 0 and self.step % 50 == 0:
                print(f"step {self.step} {self.seconds:.0f}s "
                      + " ".join(f"{k} {v:.3f}" for k, v in seen.items()),
                      f"scale {self.model.scale().item():.1f}", flush=True)
            if self.rank == 0 and (self.step % 200 == 0
                                   or self.step == self.args.steps):
                self.save()
            if self.step % 500 == 0 or self.step == self.args.steps:
                self.watch()

    def exchange(self):
        """Average the gradients of all processes."""
        if self.n == 1:
            return
        grads = [p.grad for p in self.all_parameters() if p.grad is not None]
        flat = torch.cat([g.flatten() for g in grads])
        dist.all_reduce(flat)
        flat /= self.n
        for g, part in zip(grads, flat.split([g.numel() for g in grads])):
            g.copy_(part.view_as(g))

    def watch(self):
        """Top-1 on the held-out styles, plain; one style per process."""
        from evaluate import top1_plain
        styles = ("openmoji", "fluent-emoji-flat")
        model = Clip(CONFIG, len(self.tokenizer.vocab))
        model.load_state_dict(self.average, strict=False)
        for style in styles[self.rank::self.n]:
            hits = top1_plain(model.eval(), self.tokenizer, self.args.cache, style)
            print(f"step {self.step} held-out {style} top-1 {hits:.3f}", flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--cache", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--steps", type=int, default=12000)
    p.add_argument("--lr", type=float, default=0.02)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--start", help="a state.pt whose weights are gone on from")
    p.add_argument("--rank", type=int, default=0)
    p.add_argument("--processes", type=int, default=1)
    p.add_argument("--port", type=int, default=29555)
    p.add_argument("--tag", help="ignored: a word to find the process by")
    args = p.parse_args()
    torch.set_num_threads(1)
    os.makedirs(args.out, exist_ok=True)
    if args.processes > 1:      # a paused process must not time out its peer
        dist.init_process_group(
            "gloo", init_method=f"tcp://127.0.0.1:{args.port}", rank=args.rank,
            world_size=args.processes, timeout=datetime.timedelta(days=2))
    Trainer(args, args.rank, args.processes).run()


if __name__ == "__main__":
    main()
