#!/usr/bin/env python3
"""pictures.py DIR: pictures to measure with, made once.

Photo-like JPEGs: structure of every size, whose contrast falls off with its
frequency as it does in photographs, a sensor's grain, quality 85 with 4:2:0,
which gives about the bytes per pixel of a telephone's camera.  And drawings
that the starter model knows, one to a picture, for its accuracy.
"""
import hashlib
import os
import pathlib
import sys

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SIZES = {"12 MP": (4000, 3000), "2 MP": (1632, 1224), "640x480": (640, 480)}
PHOTOS, GRAIN, QUALITY = 4, 5, 85
DRAWINGS, SIDE = 1000, 160


def photo(width, height, seed):
    rng = np.random.RandomState(seed)
    longer, cells = max(width, height), 2
    rgb = np.full((height, width, 3), 118, np.float32)
    while cells <= longer // 2:
        h, w = (max(2, n * cells // longer + 1) for n in (height, width))
        grid = rng.normal(0, 1, (h, w, 3)).astype(np.float32)
        grid = 0.3 * grid + 1.2 * grid.mean(2, keepdims=True)
        for c in range(3):
            plane = Image.fromarray(np.ascontiguousarray(grid[..., c]))
            rgb[..., c] += 60 * (2 / cells) ** 0.5 * np.asarray(
                plane.resize((width, height), Image.BICUBIC))
        cells *= 2
    rgb += rng.normal(0, GRAIN, (height, width, 1)).astype(np.float32)
    return Image.fromarray(rgb.clip(0, 255).astype(np.uint8))


def photos(folder):
    """{size's name: [files]}"""
    os.makedirs(folder, exist_ok=True)
    files = {}
    for name, (width, height) in SIZES.items():
        files[name] = []
        for seed in range(PHOTOS):
            path = os.path.join(folder, f"{width}x{height}-{seed}.jpg")
            if not os.path.exists(path):
                photo(width, height, seed).save(path + ".new", "JPEG",
                                                quality=QUALITY)
                os.rename(path + ".new", path)
            files[name].append(path)
    return files


def drawings(folder):
    """([files], [index of its kind of each], [kinds]); made anew for other
    sprites, as the files' kinds follow from them"""
    sprites = sorted((ROOT / "tests/data/sprites").glob("*.png"))
    digest = hashlib.sha256()
    for sprite in sprites:
        digest.update(sprite.name.encode() + b"\0" + sprite.read_bytes())
    folder = os.path.join(folder, digest.hexdigest()[:12])
    os.makedirs(folder, exist_ok=True)
    rng = np.random.RandomState(5)
    files, truth = [], []
    for i in range(DRAWINGS):
        kind = i % len(sprites)
        size = int(rng.randint(SIDE // 3, SIDE * 9 // 10))
        x, y = (int(v) for v in rng.randint(0, SIDE - size, 2))
        ground = tuple(int(v) for v in rng.randint(120, 256, 3))
        path = os.path.join(folder, f"{i:04d}.png")
        files.append(path)
        truth.append(kind)
        if os.path.exists(path):
            continue
        with Image.open(sprites[kind]) as sprite:
            sprite = sprite.convert("RGBA").resize((size, size),
                                                   Image.LANCZOS)
        im = Image.new("RGB", (SIDE, SIDE), ground)
        im.paste(sprite, (x, y), sprite)
        im.save(path + ".new", "PNG")
        os.rename(path + ".new", path)
    return files, truth, [s.stem for s in sprites]


if __name__ == "__main__":
    photos(sys.argv[1])
    drawings(os.path.join(sys.argv[1], "drawings"))
