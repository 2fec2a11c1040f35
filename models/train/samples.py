"""Draw the sample pictures of tests/data from a held-out style (fluent-emoji-flat,
MIT). usage: samples.py NODE_MODULES OUT_DIR
"""
import io
import os
import sys

import numpy as np
import resvg_py
from PIL import Image, ImageFilter

from icons import load_set

STYLE = "fluent-emoji-flat"
SIDE = 320
# file: (background, [(icon, size, left, top, turn)]); sizes are shares of SIDE
PICTURES = {
    "knife-on-table.jpg": ("table", [("kitchen-knife", .62, .28, .20, 8)]),
    "swords.png": ("grey", [("crossed-swords", .70, .15, .14, 0)]),
    "bomb-and-cup.jpg": ("table", [("bomb", .55, .05, .24, -6),
                                   ("hot-beverage", .32, .63, .44, 0)]),
    "skull.png": ("dark", [("skull", .66, .17, .16, 0)]),
    "drop-of-blood.png": ("white", [("drop-of-blood", .66, .17, .17, 0)]),
    "bikini.png": ("sand", [("bikini", .70, .15, .15, 0)]),
    "middle-finger.jpg": ("blue", [("middle-finger", .74, .13, .13, 0)]),
    "kitchen.png": ("table", [("hot-beverage", .42, .06, .36, 0),
                              ("spoon", .42, .52, .36, 0)]),
    "pets.jpg": ("grass", [("fish", .46, .04, .34, 0),
                           ("cat-face", .44, .52, .36, 0)]),
    "street.jpg": ("street", [("house", .48, .03, .10, 0),
                              ("automobile", .48, .48, .45, 0)]),
    "fruit.png": ("white", [("red-apple", .46, .04, .27, 0),
                            ("banana", .42, .53, .30, 5)]),
    "chopsticks.png": ("grey", [("chopsticks", .66, .17, .16, 0)]),
    "crowded.jpg": ("table", [("hot-beverage", .34, .04, .05, 0),
                              ("kitchen-knife", .30, .60, .08, 20),
                              ("banana", .36, .06, .56, 0),
                              ("open-book", .36, .56, .58, 0)]),
}
GROUNDS = {                         # upper colour, lower colour, horizon
    "table": ((222, 226, 230), (176, 132, 92), .55),
    "grass": ((158, 206, 240), (126, 182, 96), .5),
    "street": ((186, 214, 236), (128, 130, 134), .7),
    "sand": ((196, 226, 240), (232, 214, 168), .6),
    "grey": ((206, 206, 210), (206, 206, 210), 1.0),
    "dark": ((58, 62, 80), (58, 62, 80), 1.0),
    "blue": ((120, 160, 214), (120, 160, 214), 1.0),
    "white": ((255, 255, 255), (255, 255, 255), 1.0),
}


def ground(name):
    up, down, horizon = GROUNDS[name]
    yy = np.arange(SIDE)[:, None, None] / SIDE
    out = np.where(yy < horizon, np.array(up), np.array(down)).astype(float)
    if name != "white":
        out = out * (1.06 - 0.12 * yy)
    out = np.broadcast_to(out, (SIDE, SIDE, 3))
    return Image.fromarray(np.clip(out, 0, 255).astype(np.uint8))


def drawing(icon, size, turn):
    body, left, top, width, height = icon
    svg = (f'<svg xmlns="http://www.w3.org/2000/svg" '
           f'viewBox="{left} {top} {width} {height}">{body}</svg>')
    png = resvg_py.svg_to_bytes(svg_string=svg, width=round(size * SIDE))
    image = Image.open(io.BytesIO(bytes(png))).convert("RGBA")
    return image.rotate(turn, Image.BICUBIC)


def main(modules, folder):
    icons = load_set(modules, STYLE)
    os.makedirs(folder, exist_ok=True)
    for name, (back, objects) in PICTURES.items():
        image = ground(back)
        for icon, size, left, top, turn in objects:
            d = drawing(icons[icon], size, turn)
            shadow = Image.new("RGBA", d.size, (0, 0, 0, 0))
            shadow.putalpha(d.getchannel("A").point(lambda a: a // 4))
            shadow = shadow.filter(ImageFilter.GaussianBlur(5))
            at = round(left * SIDE), round(top * SIDE)
            if back != "white":
                image.paste(shadow, (at[0] + 4, at[1] + 6), shadow)
            image.paste(d, at, d)
        how = {"quality": 88} if name.endswith("jpg") else {"optimize": True}
        image.save(os.path.join(folder, name), **how)


if __name__ == "__main__":
    main(*sys.argv[1:3])
