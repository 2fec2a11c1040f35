"""What 8 bits cost: int8 beside fp32 of our own, kernel by kernel."""
import os
import pathlib
import subprocess
import sys

import numpy as np

import pictures
from engines import Clipward

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = pathlib.Path(HERE).parent.parent
KERNELS = ("avx512vnni", "avxvnni", "avx2")
SHAPES = ("ViT-B/32", "ViT-B/16")
LOWEST = (">=", 0.9995, "")
TEMPLATES = ("a photo of {}.", "a picture of {}.", "a drawing of {}.")


def cosines(ours, files, fp32, kernel):
    got = ours.embed("int8", files, "--kernel", kernel)
    return np.sum(got * fp32, 1), got


def share_right(images, words, truth):
    return 100 * float(np.mean((images @ words.T).argmax(1) == truth))


def prompts(ours, kinds):
    """[kinds][E]: the mean over the templates, as a policy's."""
    names = [("an " if k[0] in "aeiou" else "a ") + k for k in kinds]
    args = [w for n in names for t in TEMPLATES
            for w in ("--text", t.format(n))]
    got = ours.lines(ours.command("embed", "--precision", "fp32", *args))
    v = np.array([g["embedding"] for g in got])
    v = v.reshape(len(kinds), len(TEMPLATES), -1).mean(1)
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def lowest(table, name, cos):
    table.row(f"{name}, mean {cos.mean():.6f}; lowest of {len(cos)}",
              f"{cos.min():.6f}", want=LOWEST, got=float(cos.min()))


def starter(table, program, home):
    """Zero-shot: which of the sprites' names is nearest."""
    ours = Clipward(program, str(ROOT / "models/starter"))
    files, truth, kinds = pictures.drawings(os.path.join(home, "drawings"))
    words = prompts(ours, kinds)
    fp32 = ours.embed("fp32", files)
    right = share_right(fp32, words, truth)
    table.section(f"2: starter model, zero-shot over {len(kinds)} drawings "
                  f"in {len(files)} pictures, % right")
    table.row("fp32", f"{right:.1f}")
    for kernel in KERNELS:
        try:
            cos, got = cosines(ours, files, fp32, kernel)
        except RuntimeError as why:
            table.absent(f"int8 on {kernel}", short(why))
            continue
        now = share_right(got, words, truth)
        table.row(f"int8 on {kernel}, {now - right:+.1f} points", f"{now:.1f}",
                  want=("<=", 0.5, " pt"), got=abs(now - right))
        lowest(table, f"int8 on {kernel}, cosine", cos)


def short(why):
    return str(why).split(": ", 1)[-1][:70]


def model_of(home, shape):
    path = os.path.join(home, shape.replace("/", "-"), "model")
    if not os.path.exists(os.path.join(path, "config.json")):
        subprocess.run([sys.executable, os.path.join(HERE, "make_model.py"),
                        shape, path], check=True)
    return path


def seeded(table, program, home, shape):
    files = [p for size in pictures.photos(
        os.path.join(home, "pictures")).values() for p in size[:2]]
    drawn = pictures.drawings(os.path.join(home, "drawings"))[0]
    files += drawn[::len(drawn) // 10]
    ours = Clipward(program, model_of(home, shape))
    fp32 = ours.embed("fp32", files)
    table.section(f"2: seeded {shape}, cosine of int8 to fp32")
    for kernel in KERNELS:
        try:
            lowest(table, f"int8 on {kernel}",
                   cosines(ours, files, fp32, kernel)[0])
        except RuntimeError as why:
            table.absent(f"int8 on {kernel}", short(why))


def rows(table, program, home):
    starter(table, program, home)
    for shape in SHAPES:
        seeded(table, program, home, shape)
