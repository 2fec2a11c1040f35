#!/usr/bin/env python3
"""reference.py MODEL_DIR OUT_DIR: a picture and what it is worth.

Writes picture.png (of the model's own size, so that nothing is resized),
pixels.npy (the same, normalised) and embed.npy (its embedding in float64 by
numpy alone), which every engine's answer is compared with.
"""
import json
import os
import struct
import sys
import zlib

import numpy as np

from clip_dir import read_vision


def picture(side):
    """Smooth waves and some grain, [side][side][3] bytes."""
    rng = np.random.RandomState(3)
    y, x = np.mgrid[0:side, 0:side] / side
    waves = [np.sin(6.3 * (a * x + b * y + c))
             for a, b, c in rng.uniform(-3, 3, (3, 3))]
    rgb = np.stack(waves, -1) * 90 + 128 + rng.normal(0, 12, (side, side, 3))
    return rgb.clip(0, 255).astype(np.uint8)


def write_png(path, rgb):
    def chunk(kind, body):
        return (struct.pack(">I", len(body)) + kind + body +
                struct.pack(">I", zlib.crc32(kind + body)))

    h, w, _ = rgb.shape
    rows = b"".join(b"\0" + row.tobytes() for row in rgb)
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" +
                chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)) +
                chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def norm(x, t, name, eps):
    x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x * x).mean(-1, keepdims=True) + eps)
    return x * t[name + ".weight"] + t[name + ".bias"]


def linear(x, t, name):
    return x @ t[name + ".weight"].T + t[name + ".bias"]


def attention(x, t, p, heads):
    tokens, width = x.shape
    q, k, v = (linear(x, t, f"{p}{n}_proj").reshape(tokens, heads, -1)
               .transpose(1, 0, 2) for n in "qkv")
    a = q @ k.transpose(0, 2, 1) / np.sqrt(width // heads)
    a = np.exp(a - a.max(-1, keepdims=True))
    a /= a.sum(-1, keepdims=True)
    y = (a @ v).transpose(1, 0, 2).reshape(tokens, width)
    return linear(y, t, p + "out_proj")


def embed(v, t, pixels):
    t = {k: w.astype(np.float64) for k, w in t.items()}
    e, eps, p = "vision_model.embeddings.", v["layer_norm_eps"], v["patch_size"]
    side = v["image_size"] // p
    x = pixels.astype(np.float64).reshape(3, side, p, side, p)
    x = x.transpose(1, 3, 0, 2, 4).reshape(side * side, -1)
    w = t[e + "patch_embedding.weight"]
    x = np.vstack([t[e + "class_embedding"][None], x @ w.reshape(len(w), -1).T])
    x = norm(x + t[e + "position_embedding.weight"], t,
             "vision_model.pre_layrnorm", eps)
    for i in range(v["num_hidden_layers"]):
        n = f"vision_model.encoder.layers.{i}."
        x = x + attention(norm(x, t, n + "layer_norm1", eps), t,
                          n + "self_attn.", v["num_attention_heads"])
        y = linear(norm(x, t, n + "layer_norm2", eps), t, n + "mlp.fc1")
        x = x + linear(y / (1 + np.exp(-1.702 * y)), t, n + "mlp.fc2")
    y = norm(x[0], t, "vision_model.post_layernorm", eps)
    return y @ t["visual_projection.weight"].T


def main():
    directory, out = sys.argv[1:]
    v, t = read_vision(directory)
    if v["hidden_act"] != "quick_gelu":
        sys.exit("reference.py: only quick_gelu is written out here")
    with open(os.path.join(directory, "preprocessor_config.json"),
              encoding="utf-8") as f:
        rule = json.load(f)
    rgb = picture(v["image_size"])
    pixels = (rgb / 255 - rule["image_mean"]) / rule["image_std"]
    pixels = pixels.transpose(2, 0, 1).astype("<f4")
    write_png(os.path.join(out, "picture.png"), rgb)
    np.save(os.path.join(out, "pixels.npy"), pixels)
    np.save(os.path.join(out, "embed.npy"), embed(v, t, pixels))


if __name__ == "__main__":
    main()
