"""Train the starter model, in processes of one thread each that average gradients.

usage: train.py --cache DIR --out DIR [--steps N] [--seed N] [--tag WORD]

Most steps see small pictures, the last ones pictures of the size that the model
takes, which have more patches for each thing in a crowd. Losses: every picture
against one caption of each concept, of what is outside the world and of things it
never shows (targets: how much of what is drawn each concept is); pictures against
whole listings in the batch; and, fading out, pictures against one learnt vector a
concept, and concepts per picture and per patch, from heads that do not ship.
Resumes from DIR/state.pt; the same seed and number of processes give the same
stream of pictures.
"""
import argparse
import math
import os
import time

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

import bpe
from captions import Bank
from common import Pool, add_arguments, exchange, join, pixels, targets
from model import CONFIG, Clip
from muon import Muon
from scenes import SIDE, SMALL, Scenes

OTHERS, NEVER = 3, 20   # captions of the bank beside one per concept
AUX_UNTIL = 0.9         # share of the steps after which the helpers are gone
TEXT_EVERY = 5          # until TEXT_FROM, sentences take part in one step of five
TEXT_FROM = 0.6
FULL_FROM = 0.6         # from here on pictures are of the size the model takes
POSITION = "vision_model.embeddings.position_embedding.weight"
ADAM_LR = 2e-3


class Trainer:
    def __init__(self, args, rank, world_size):
        self.args, self.rank, self.n = args, rank, world_size
        self.scenes, self.bank = Scenes(args.cache, side=SMALL), Bank()
        merges = bpe.train(self.bank.corpus(np.random.default_rng(1)),
                           CONFIG["merges"])
        self.tokenizer = bpe.Tokenizer(merges, CONFIG["context"])
        torch.manual_seed(args.seed)
        self.model = Clip(dict(CONFIG, image=SMALL), len(self.tokenizer.vocab))
        self.model.start_patches(self.some_patches())
        self.encode = torch.compile(self.model.image,      # three times as fast
                                    dynamic=False)
        k, d = self.bank.other + 1, CONFIG["width"]
        self.helpers = nn.ModuleDict({"picture": nn.Linear(d, k),
                                      "patch": nn.Linear(d, k + 1),
                                      "names": nn.Linear(CONFIG["embed"], k,
                                                         bias=False)})
        self.sort_parameters(args, rank, world_size)
        self.average = {n: p.detach().clone()
                        for n, p in self.model.named_parameters()}
        self.step, self.seconds = 0, 0.0
        self.pool = Pool(self.scenes, world_size)
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

    def enlarge(self):
        """From small pictures to those of the size the model takes."""
        self.scenes = Scenes(self.args.cache)
        self.pool = Pool(self.scenes, self.n)
        embedding = self.model.get_submodule(POSITION.rsplit(".", 1)[0])
        small = embedding.weight
        embedding.weight = nn.Parameter(self.model.enlarge(small, SIDE))
        self.average[POSITION] = self.model.enlarge(self.average[POSITION], SIDE)
        for opt in self.opts:
            opt.state.pop(small, None)
            for group in opt.param_groups:
                group["params"] = [embedding.weight if p is small else p
                                   for p in group["params"]]
        torch.compiler.reset()

    def load(self, state, weights_only=False):
        if state["model"][POSITION].shape != self.average[POSITION].shape:
            self.enlarge()
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
                 "config": dict(CONFIG, image=self.model.side()),
                 "args": vars(self.args)}
        torch.save(state, self.path + ".new")
        os.replace(self.path + ".new", self.path)

    # -- one step ----------------------------------------------------------
    def bank_texts(self, rng):
        texts = [self.bank.caption(rng, k) for k in range(self.bank.other)]
        texts += [self.bank.caption(rng, self.bank.other) for _ in range(OTHERS)]
        texts += [self.bank.negative(rng) for _ in range(NEVER)]
        return texts

    def losses(self, rng, done):
        picked, images, label = self.pool.batch(rng, done)
        x = pixels(images)
        label = torch.from_numpy(label)
        with torch.autocast("cpu", torch.bfloat16):
            u, pooled, patches = (t.float() for t in self.encode(x))
        target = targets(picked, self.bank.other)
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
        lead = max(0.0, 1 - done / TEXT_FROM)
        total = told + (0.2 + lead) * named + aux * helper + (0.2 + 1.2 * aux) * spots
        return total, parts

    def text_losses(self, rng, picked, u, target, vectors, parts):
        """Pictures against the bank's sentences and the batch's listings, and
        sentences against the concepts they name."""
        k = self.bank.other
        texts = self.bank_texts(rng)
        columns = len(texts)
        texts += [self.bank.listing(rng, p[0]) for p in picked]
        ids = torch.tensor(self.tokenizer(texts))
        ends = (ids == self.model.eos).int().argmax(1)
        e = self.model.text(ids[:, :int(ends.max()) + 1])
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

    def done(self, seconds):
        """The share of the schedule that lies behind; the same everywhere."""
        if not self.args.minutes:
            return self.step / self.args.steps
        share = torch.tensor([seconds / (60 * self.args.minutes)])
        if self.n > 1:
            dist.broadcast(share, 0)
        return self.args.done + (1 - self.args.done) * share.item()

    def run(self):
        before = self.seconds
        started = time.time() - before
        seen = {}
        while (done := self.done(time.time() - started - before)) < 1:
            if done >= FULL_FROM and self.scenes.side != SIDE:
                self.enlarge()
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
            exchange(self.all_parameters(), self.n)
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
        if self.rank == 0:
            self.save()

    def watch(self):
        """Top-1 on the held-out styles, plain; one style per process."""
        from evaluate import top1_plain
        styles = ("openmoji", "fluent-emoji-flat")
        model = Clip(dict(CONFIG, image=self.model.side()),
                     len(self.tokenizer.vocab))
        model.load_state_dict(self.average, strict=False)
        for style in styles[self.rank::self.n]:
            hits = top1_plain(model.eval(), self.tokenizer, self.args.cache, style)
            print(f"step {self.step} held-out {style} top-1 {hits:.3f}", flush=True)


def main():
    p = argparse.ArgumentParser()
    add_arguments(p)
    p.add_argument("--steps", type=int, default=9000)
    p.add_argument("--lr", type=float, default=0.02)
    p.add_argument("--start", help="a state.pt whose weights are gone on from")
    p.add_argument("--minutes", type=float, help="end after so long instead of "
                   "after --steps, on a machine shared with others")
    p.add_argument("--done", type=float, default=0.0,
                   help="share of the schedule that --minutes begins at")
    args = p.parse_args()
    join(args)
    os.makedirs(args.out, exist_ok=True)
    Trainer(args, args.rank, args.processes).run()


if __name__ == "__main__":
    main()
