"""Rasterise every icon of the world once and keep the sprites in one cache.

An icon becomes a sprite of SIDE x SIDE pixels with four planes besides its
colours: the cache holds, per sprite,

    rgba     [SIDE, SIDE, 4]  straight colours and alpha
    inside   [SIDE, SIDE]     alpha with its holes filled (the silhouette)
    edge     [SIDE, SIDE]     where colour or alpha changes (a line drawing)
    thick    [SIDE, SIDE]     alpha grown by one and a half pixels

Scenes are composed from these planes alone (scenes.py), so that no SVG is read
while training. usage: icons.py NODE_MODULES CACHE_DIR
"""
import hashlib
import io
import json
import os
import re
import sys

import numpy as np
import resvg_py
import yaml
from PIL import Image, ImageChops, ImageDraw, ImageFilter

HERE = os.path.dirname(os.path.abspath(__file__))
SIDE = 96
MARGIN = 4              # pixels left free around the drawing, for growing lines
NUMBER = re.compile(r"-?\d+(\.\d+)?")


def load_world():
    with open(os.path.join(HERE, "world.yaml"), encoding="utf-8") as f:
        return yaml.safe_load(f)


def load_set(modules, style):
    """-> {icon name: (svg body, left, top, width, height)} of one package."""
    with open(os.path.join(modules, "@iconify-json", style, "icons.json"),
              encoding="utf-8") as f:
        data = json.load(f)
    out = {}
    for name, icon in data["icons"].items():
        box = [icon.get(k, data.get(k, d)) for k, d in
               (("left", 0), ("top", 0), ("width", 16), ("height", 16))]
        out[name] = (icon["body"], *box)
    return out


def body_hash(body):
    """SHA-256 of a drawing, blind to white space, ids and last digits."""
    text = re.sub(r'\b(id|class)="[^"]*"|url\(#[^)]*\)|href="#[^"]*"', "", body)
    text = NUMBER.sub(lambda m: f"{float(m.group()):.1f}", text)
    return hashlib.sha256(re.sub(r"\s+", "", text).encode()).hexdigest()


def rasterise(body, left, top, width, height):
    svg = (f'<svg xmlns="http://www.w3.org/2000/svg" '
           f'xmlns:xlink="http://www.w3.org/1999/xlink" color="#000" '
           f'viewBox="{left} {top} {width} {height}">{body}</svg>')
    size = SIDE - 2 * MARGIN
    side = {"width": size} if width >= height else {"height": size}
    png = resvg_py.svg_to_bytes(svg_string=svg, **side)
    image = Image.open(io.BytesIO(bytes(png))).convert("RGBA")
    box = image.getchannel("A").point(lambda a: 255 * (a > 20)).getbbox()
    if box is None or min(box[2] - box[0], box[3] - box[1]) < 2:
        return None
    image = image.crop(box)
    scale = size / max(image.size)
    image = image.resize([max(1, round(n * scale)) for n in image.size],
                         Image.BICUBIC)
    out = Image.new("RGBA", (SIDE, SIDE))
    out.paste(image, [(SIDE - n) // 2 for n in image.size])
    return out


def silhouette(alpha):
    """Alpha with everything that the outside does not reach filled."""
    grown = alpha.filter(ImageFilter.MaxFilter(5))
    outside = grown.point(lambda a: 255 if a > 60 else 0)
    ImageDraw.floodfill(outside, (0, 0), 128)
    filled = outside.point(lambda a: 0 if a == 128 else 255)
    shrunk = filled.filter(ImageFilter.MinFilter(5))
    return ImageChops.lighter(shrunk.filter(ImageFilter.GaussianBlur(0.6)),
                              alpha)


def line_drawing(image):
    """Strength of the change of colour or alpha, as ink."""
    grey = Image.new("RGBA", image.size, (255, 255, 255, 255))
    grey.alpha_composite(image)
    soft = [grey.convert("L"), image.getchannel("A")]
    ink = np.zeros((SIDE, SIDE), np.float32)
    for plane in soft:
        a = np.asarray(plane.filter(ImageFilter.GaussianBlur(0.8)), np.float32)
        dy, dx = np.gradient(a)
        ink = np.maximum(ink, np.hypot(dx, dy))
    return np.clip((ink - 8) * 7, 0, 255).astype(np.uint8)


def planes(image):
    alpha = image.getchannel("A")
    return (np.asarray(image), np.asarray(silhouette(alpha)),
            line_drawing(image),
            np.asarray(alpha.filter(ImageFilter.MaxFilter(3))
                       .filter(ImageFilter.GaussianBlur(0.7))))


def is_one_colour(image):
    a = np.asarray(image).reshape(-1, 4)
    a = a[a[:, 3] > 200][:, :3].astype(int)
    return len(a) == 0 or (a.std(0) < 10).all()


def main(modules, cache):
    world = load_world()
    os.makedirs(cache, exist_ok=True)
    rows, rgba, inside, edge, thick = [], [], [], [], []
    sets, seen = {}, set()
    groups = [(c["id"], c["icons"]) for c in world["concepts"]]
    groups.append(("other", world["other"]["icons"]))
    for concept, icons in groups:
        for style, names in icons.items():
            if style not in sets:
                sets[style] = load_set(modules, style)
            for name in names:
                body = sets[style][name][0]
                digest = body_hash(body)
                if (digest, concept) in seen:      # one drawing, two names
                    continue
                image = rasterise(*sets[style][name])
                if image is None:
                    continue
                seen.add((digest, concept))
                p = planes(image)
                for store, plane in zip((rgba, inside, edge, thick), p):
                    store.append(plane)
                rows.append({"concept": concept, "style": style, "name": name,
                             "held_out": style in world["held_out"],
                             "one_colour": bool(is_one_colour(image)),
                             "sha256": digest})
    for name, store in (("rgba", rgba), ("inside", inside), ("edge", edge),
                        ("thick", thick)):
        np.save(os.path.join(cache, name + ".npy"), np.stack(store))
    with open(os.path.join(cache, "sprites.json"), "w", encoding="utf-8") as f:
        json.dump(rows, f)
    with open(os.path.join(HERE, "hashes.txt"), "w", encoding="ascii") as f:
        lines = {(("held-out" if r["held_out"] else "train"), r["sha256"],
                  r["style"], r["name"]) for r in rows}
        f.writelines(" ".join(t) + "\n" for t in sorted(lines))
    held = sum(r["held_out"] for r in rows)
    print(f"{len(rows) - held} training sprites, {held} held out")


if __name__ == "__main__":
    main(*sys.argv[1:3])
