"""Compose pictures from the cached sprites: plain ones (one big drawing) and
scenes (one to four drawings, random place, size, turn, colours, background).

Scenes.draw() gives the picture and what is where: the share of the picture each
concept covers, and per patch the concept that covers it. All randomness comes
from the generator handed in, so a seed fixes the stream.
"""
import colorsys
import io
import json
import os

import numpy as np
from PIL import Image, ImageFilter

from icons import SIDE as SPRITE, load_world

SIDE = 96               # pixels of a picture, and what the model takes
SMALL = 64              # of the pictures that most of the training sees
PATCH = 8               # pixels of a patch of either
COVERED = 0.2           # share of a patch a drawing covers to own it
RED, BLUE = (0.97, 1.03), (0.52, 0.64)          # hues of the `ink` colours


def random_colour(rng, hue=(0.0, 1.0)):
    h = rng.uniform(*hue) % 1.0
    s = rng.uniform(0.55, 1.0) if hue != (0.0, 1.0) else rng.beta(1.2, 1.0)
    v = rng.uniform(0.5, 1.0) if hue != (0.0, 1.0) else rng.uniform(0.05, 1.0)
    return np.array(colorsys.hsv_to_rgb(h, s, v)) * 255


def luma(colour):
    return float(np.dot(colour[:3], (0.299, 0.587, 0.114)))


class Scenes:
    def __init__(self, cache, held_out=None, side=SIDE):
        """held_out: None for the training styles, else the one style to use;
        side: pixels of the pictures, of which drawings take the same shares."""
        self.side, self.grid = side, side // PATCH
        world = load_world()
        self.concepts = [c["id"] for c in world["concepts"]]
        self.policy = [c.get("policy") for c in world["concepts"]]
        self.ink = [c.get("ink") for c in world["concepts"]] + [None]
        self.other = len(self.concepts)         # index of "outside the world"
        self.background = self.other + 1        # patch label: nothing there
        index = {c: i for i, c in enumerate(self.concepts + ["other"])}
        planes = ("rgba", "inside", "edge", "thick")
        self.planes = {p: np.load(os.path.join(cache, p + ".npy"), mmap_mode="r")
                       for p in planes}
        with open(os.path.join(cache, "sprites.json"), encoding="utf-8") as f:
            self.rows = json.load(f)
        self.by_style = [{} for _ in range(self.other + 1)]
        for i, row in enumerate(self.rows):
            if (row["style"] == held_out if held_out else not row["held_out"]):
                kind = (row["one_colour"], row["style"])
                self.by_style[index[row["concept"]]].setdefault(kind, []).append(i)
        self.known = [k for k in range(self.other) if self.by_style[k]]

    # -- sprites -----------------------------------------------------------
    def pick(self, rng, concept):
        """Half of the time a drawing in colours, then any style, then any name."""
        kinds = list(self.by_style[concept])
        coloured = [k for k in kinds if not k[0]]
        if coloured and (len(coloured) == len(kinds) or rng.random() < 0.55):
            kinds = coloured
        else:
            kinds = [k for k in kinds if k[0]]
        names = self.by_style[concept][kinds[rng.integers(len(kinds))]]
        return names[rng.integers(len(names))]

    def natural_colour(self, rng, concept):
        """A colour that occurs in a coloured drawing of the concept."""
        kinds = [k for k in self.by_style[concept] if not k[0]]
        if not kinds:
            return random_colour(rng)
        names = self.by_style[concept][kinds[rng.integers(len(kinds))]]
        rgba = self.planes["rgba"][names[rng.integers(len(names))]]
        for _ in range(8):
            p = rgba[tuple(rng.integers(SPRITE // 5, SPRITE * 4 // 5, 2))]
            if p[3] > 200:
                return p[:3].astype(float)
        return random_colour(rng)

    def ink_colour(self, rng, concept, behind):
        """A colour for a one-colour drawing, told apart from what is behind."""
        name = self.ink[concept]
        for _ in range(12):
            if name:
                c = random_colour(rng, RED if name == "red" else BLUE)
            elif rng.random() < 0.45:
                c = np.full(3, rng.choice([0, 20, 50, 235, 255]), float)
            else:
                c = random_colour(rng)
            if np.abs(c - behind).max() > 90 and abs(luma(c) - luma(behind)) > 35:
                return c
        return np.zeros(3) if luma(behind) > 128 else np.full(3, 255.0)

    def one_colour(self, rng, i, concept, behind):
        """Ink, at times thicker, at times over a filled silhouette."""
        ink = self.ink_colour(rng, concept, behind)
        alpha = np.asarray(self.planes["rgba"][i])[..., 3].astype(np.float32)
        if rng.random() < 0.25:
            alpha = self.planes["thick"][i].astype(np.float32)
        rgb = np.empty((SPRITE, SPRITE, 3), np.float32)
        rgb[:] = ink
        if rng.random() < 0.5:
            if self.ink[concept]:
                fill = self.ink_colour(rng, concept, behind)
            elif rng.random() < 0.6:
                fill = self.natural_colour(rng, concept)
            else:
                fill = random_colour(rng)
            if abs(luma(fill) - luma(ink)) > 40:
                under = self.planes["inside"][i].astype(np.float32)
                a = (alpha / 255)[..., None]
                rgb = fill * (1 - a) + rgb * a
                alpha = np.maximum(alpha, under)
        return rgb, alpha

    def coloured(self, rng, i, concept, behind):
        """As drawn, or with other colours, grey, outlined, as a line drawing."""
        rgba = np.asarray(self.planes["rgba"][i]).astype(np.float32)
        rgb, alpha = rgba[..., :3].copy(), rgba[..., 3].copy()
        way = rng.random()
        if way < 0.38 or (self.ink[concept] and way < 0.7):
            pass
        elif way < 0.56 and not self.ink[concept]:
            rgb = self.recolour(rng, rgb)
        elif way < 0.64 and not self.ink[concept]:
            rgb[:] = (rgb @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
        elif way < 0.74 and not self.ink[concept]:
            ink = self.ink_colour(rng, concept, behind)
            rgb[:] = ink
            alpha = self.planes["edge"][i].astype(np.float32)
            if rng.random() < 0.5:
                a = (alpha / 255)[..., None]
                rgb = self.natural_colour(rng, concept) * (1 - a) + ink * a
                alpha = np.maximum(alpha, self.planes["inside"][i])
        else:                                   # a dark line around the shape
            if rng.random() < 0.5:
                levels = rng.integers(2, 5)
                rgb = np.round(rgb / 255 * levels) / levels * 255
            if rng.random() < 0.6:
                a = (self.planes["edge"][i].astype(np.float32)
                     / 255 * rng.uniform(0.4, 1))[..., None]
                rgb = rgb * (1 - a) + rng.uniform(0, 60) * a
            thick = self.planes["thick"][i].astype(np.float32)
            a = (alpha / 255)[..., None]
            rgb = rgb * a + rng.uniform(0, 60) * (1 - a)
            alpha = np.maximum(alpha, thick)
        return rgb, alpha

    @staticmethod
    def recolour(rng, rgb):
        """Turn the hue (a permutation or rotation of channels), stretch tones."""
        if rng.random() < 0.5:
            m = np.eye(3)[rng.permutation(3)]
        else:
            m = np.eye(3) + rng.normal(0, 0.18, (3, 3))
        out = rgb @ m.astype(np.float32)
        if rng.random() < 0.15:
            out = 255 - out
        grey = out.mean(-1, keepdims=True)
        out = grey + (out - grey) * rng.uniform(0.3, 1.6)
        out = (out - 128) * rng.uniform(0.6, 1.3) + 128 + rng.uniform(-40, 40)
        return np.clip(out, 0, 255)

    def sprite(self, rng, concept, behind, size, as_is=False, turn=30, i=None):
        """-> RGBA picture and its silhouette, `size` pixels at the longer side."""
        i = self.pick(rng, concept) if i is None else i
        flat = self.rows[i]["one_colour"]
        if as_is and not flat:
            rgba = np.asarray(self.planes["rgba"][i]).astype(np.float32)
            rgb, alpha = rgba[..., :3], rgba[..., 3]
        elif as_is:
            rgb = np.empty((SPRITE, SPRITE, 3), np.float32)
            rgb[:] = self.ink_colour(rng, concept, behind)
            alpha = np.asarray(self.planes["rgba"][i])[..., 3].astype(np.float32)
        elif flat:
            rgb, alpha = self.one_colour(rng, i, concept, behind)
        else:
            rgb, alpha = self.coloured(rng, i, concept, behind)
        out = np.concatenate([rgb, alpha[..., None]], -1).astype(np.uint8)
        picture = Image.fromarray(out, "RGBA")
        inside = Image.fromarray(np.asarray(self.planes["inside"][i]))
        if rng.random() < 0.5:
            picture = picture.transpose(Image.FLIP_LEFT_RIGHT)
            inside = inside.transpose(Image.FLIP_LEFT_RIGHT)
        wide = max(8, round(size * rng.uniform(0.85, 1.0)))
        tall = max(8, round(size * rng.uniform(0.85, 1.0)))
        picture = picture.resize((wide, tall), Image.BILINEAR)
        inside = inside.resize((wide, tall), Image.BILINEAR)
        angle = float(rng.normal(0, turn / 2))
        if abs(angle) > 2:
            picture = picture.rotate(angle, Image.BILINEAR, expand=True)
            inside = inside.rotate(angle, Image.BILINEAR, expand=True)
        return picture, inside

    # -- pictures ----------------------------------------------------------
    def backdrop(self, rng):
        """-> float [side, side, 3]; plain, gradient, clouds, table, stripes."""
        side = self.side
        way = rng.random()
        base = (np.full(3, 255.0) if rng.random() < 0.3 else
                random_colour(rng) if rng.random() < 0.7 else
                np.full(3, rng.uniform(0, 255)))
        out = np.empty((side, side, 3), np.float32)
        out[:] = base
        if way < 0.3:
            return out
        other = base + rng.normal(0, 45, 3)
        if way < 0.45:                                          # gradient
            yy, xx = np.mgrid[0:side, 0:side] / side
            t = rng.uniform(0, 2 * np.pi)
            w = np.clip(0.5 + (yy - .5) * np.sin(t) + (xx - .5) * np.cos(t), 0, 1)
            out += w[..., None] * (other - base)
        elif way < 0.65:                                        # clouds
            n = int(rng.integers(2, 9))
            noise = rng.normal(0, rng.uniform(5, 40), (n, n, 3))
            noise += rng.normal(0, 15, (n, n, 1))
            for c in range(3):
                plane = Image.fromarray(noise[..., c].astype(np.float32))
                out[..., c] += np.asarray(plane.resize((side, side), Image.BICUBIC))
        elif way < 0.8:                                         # table or floor
            out[int(rng.integers(side // 3, side)):] = other
        elif way < 0.9:                                         # stripes
            step = int(rng.integers(3, 16))
            lines = (np.arange(side) // step) % 2 == 0
            if rng.random() < 0.5:
                out[lines] = other
            else:
                out[:, lines] = other
        else:                                                   # boxes
            for _ in range(int(rng.integers(2, 7))):
                y, x = rng.integers(0, side - 8, 2)
                h, w = rng.integers(4, 28, 2)
                out[y:y + h, x:x + w] = base + rng.normal(0, 40, 3)
        return np.clip(out, 0, 255)

    @staticmethod
    def finish(rng, image):
        """Blur, noise, tones and JPEG artefacts, as found in the wild."""
        if rng.random() < 0.12:
            image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.7)))
        if rng.random() < 0.3:
            a = np.asarray(image, np.float32)
            a = (a - 128) * rng.uniform(0.7, 1.15) + 128 + rng.uniform(-20, 20)
            if rng.random() < 0.6:
                a = a + rng.normal(0, rng.uniform(2, 12), a.shape)
            image = Image.fromarray(np.clip(a, 0, 255).astype(np.uint8))
        if rng.random() < 0.3:
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=int(rng.integers(45, 95)))
            image = Image.open(buffer).convert("RGB")
        return image

    def place(self, rng, boxes, w, h):
        """A corner where w x h overlaps the boxes placed so far least."""
        best, corner, side = None, (0, 0), self.side
        for _ in range(12):
            x = int(rng.integers(min(0, side - w), max(1, side - w + 1)))
            y = int(rng.integers(min(0, side - h), max(1, side - h + 1)))
            lap = 0
            for bx, by, bw, bh in boxes:
                lap += (max(0, min(x + w, bx + bw) - max(x, bx))
                        * max(0, min(y + h, by + bh) - max(y, by)))
            if best is None or lap < best:
                best, corner = lap, (x, y)
            if lap == 0:
                break
        return corner

    def draw(self, rng, kinds, plain=False, as_is=False, indices=None):
        """kinds: concept indices, drawn in that order.
        -> uint8 [side, side, 3]; float [len(kinds)] covered shares of the
        picture; int [grid * grid] concept per patch or self.background."""
        side, grid = self.side, self.grid
        if plain:
            c = np.full(3, 255.0) if rng.random() < 0.6 else random_colour(rng)
            back = np.empty((side, side, 3), np.float32)
            back[:] = c
        else:
            back = self.backdrop(rng)
        canvas = Image.fromarray(back.astype(np.uint8))
        cover = np.zeros((len(kinds), side, side), np.uint8)
        boxes = []
        low, high = ((40, 65) if plain else          # of a picture of 64
                     ((26, 63), (24, 44), (24, 38), (24, 36))[max(0, len(kinds) - 1)])
        low, high = low * side // 64, high * side // 64
        for k, concept in enumerate(kinds):
            size = int(rng.integers(low, high))
            behind = np.asarray(canvas.resize((1, 1), Image.BOX), float)[0, 0]
            picture, inside = self.sprite(rng, concept, behind, size,
                                          as_is=as_is, turn=10 if plain else 30,
                                          i=indices[k] if indices else None)
            x, y = self.place(rng, boxes, *picture.size)
            boxes.append((x, y, *picture.size))
            canvas.paste(picture, (x, y), picture)
            mask = Image.new("L", (side, side))
            mask.paste(inside, (x, y))
            mask = np.asarray(mask)
            cover[:k] = np.minimum(cover[:k], 255 - mask)
            cover[k] = mask
        if not (plain and as_is):
            canvas = self.finish(rng, canvas)
        label = np.full(grid * grid, self.background, np.int64)
        if not len(kinds):
            return np.asarray(canvas), np.zeros(0), label
        share = cover.astype(np.float32).mean((1, 2)) / 255
        cells = (cover.reshape(len(kinds), grid, PATCH, grid, PATCH)
                 .mean((2, 4), dtype=np.float32).reshape(len(kinds), -1) / 255)
        top = cells.argmax(0)
        hit = cells.max(0) > COVERED
        label[hit] = np.asarray(kinds)[top[hit]]
        return np.asarray(canvas), share, label

    def random(self, rng, plain=0.35):
        """A training picture: plain or a scene of zero to four drawings.
        -> concepts, picture, shares, patch labels"""
        plain = rng.random() < plain
        count = 1 if plain else int(rng.choice(5, p=(.02, .14, .26, .2, .38)))
        kinds = []
        for _ in range(count):
            k = (self.other if rng.random() < 0.1 else
                 self.known[rng.integers(len(self.known))])
            if k == self.other or k not in kinds:
                kinds.append(int(k))
        return (kinds, *self.draw(rng, kinds, plain))
