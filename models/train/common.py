"""What training stands on: pixels, the pool of pictures, averaged gradients."""
import datetime

import numpy as np
import torch
import torch.distributed as dist

BATCH = 80              # pictures of a step, shared by all processes
FRESH = 32              # of which newly drawn; the rest are drawn before
POOL = 8192             # pictures remembered
FIRST = 600             # pictures drawn before the first step
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def pixels(images):
    x = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    return (x.float() / 255 - mean) / std


class Pool:
    """Pictures drawn so far; each is used about BATCH / FRESH times."""

    def __init__(self, scenes, processes):
        self.scenes, self.items = scenes, []
        self.size, self.fresh = BATCH // processes, FRESH // processes

    def batch(self, rng, done):
        want = self.fresh if self.items else FIRST
        plain = max(0.1, 0.8 - 3 * done)       # easy pictures come first
        for item in [self.scenes.random(rng, plain) for _ in range(want)]:
            if len(self.items) < POOL:
                self.items.append(item)
            else:
                self.items[rng.integers(POOL)] = item
        picked = [self.items[i] for i in
                  rng.choice(len(self.items), self.size, replace=False)]
        images = np.stack([p[1] for p in picked])
        return picked, images, np.stack([p[3] for p in picked])


def targets(picked, other):
    """[B, K + 1]: how much of all that is drawn each concept is, by the square
    root of the area it covers; the last column is for pictures without any."""
    t = np.zeros((len(picked), other + 1), np.float32)
    for row, item in zip(t, picked):
        for c, s in zip(item[0], item[2]):
            if c != other:
                row[c] += (s + 0.005) ** 0.5    # small ones count too
        if not row.any():
            row[-1] = 1
        row /= row.sum()
    return torch.from_numpy(t)


def join(args):
    """One thread; with several processes, meet the others. A paused process
    must not time out its peer."""
    torch.set_num_threads(1)
    if args.processes > 1:
        dist.init_process_group(
            "gloo", init_method=f"tcp://127.0.0.1:{args.port}", rank=args.rank,
            world_size=args.processes, timeout=datetime.timedelta(days=2))


def exchange(params, n):
    """Average the gradients of all processes."""
    if n == 1:
        return
    grads = [p.grad for p in params if p.grad is not None]
    flat = torch.cat([g.flatten() for g in grads])
    dist.all_reduce(flat)
    flat /= n
    for g, part in zip(grads, flat.split([g.numel() for g in grads])):
        g.copy_(part.view_as(g))


def add_arguments(p):
    p.add_argument("--cache", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--rank", type=int, default=0)
    p.add_argument("--processes", type=int, default=1)
    p.add_argument("--port", type=int, default=29555)
    p.add_argument("--tag", help="ignored: a word to find the process by")
