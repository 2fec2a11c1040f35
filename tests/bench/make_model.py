#!/usr/bin/env python3
"""make_model.py SHAPE DIR: a CLIP of a published shape with seeded weights.

Speed does not depend on what the weights are, but agreement between engines
is only worth measuring where every part of the network matters: attention is
peaked, norms and biases are off their neutral values.  The vocabulary is the
256 bytes and the words of the bench's prompts, so that these take as many
tokens as they do in CLIP's own.
"""
import json
import os
import sys

import numpy as np

from clip_dir import write_tensors

# width, layers, heads, patch, embedding; text width, text heads
SHAPES = {
    "ViT-B/32": (768, 12, 12, 32, 512, 512, 8),
    "ViT-B/16": (768, 12, 12, 16, 512, 512, 8),
    "ViT-L/14": (1024, 24, 16, 14, 768, 768, 12),
}
SIDE, CONTEXT, SEED = 224, 77, 2021
WORDS = """plastic a an of the one more thing photo picture drawing small large red old
broken wooden metal paper gun table car house phone cup lamp boat
bottle chair""".split()


class Source:
    def __init__(self):
        self.rng = np.random.RandomState(SEED)

    def normal(self, *shape, std=1.0, mean=0.0):
        return (mean + std * self.rng.standard_normal(shape)).astype("<f4")


def norm(t, src, name, width):
    t[name + ".weight"] = src.normal(width, std=0.2, mean=1)
    t[name + ".bias"] = src.normal(width, std=0.2)


def linear(t, src, name, out, width, gain=1.0):
    t[name + ".weight"] = src.normal(out, width, std=gain / width ** 0.5)
    t[name + ".bias"] = src.normal(out, std=0.2)


def encoder(t, src, prefix, width, layers):
    for i in range(layers):
        p = f"{prefix}.{i}."
        norm(t, src, p + "layer_norm1", width)
        for part, gain in (("q", 1.3), ("k", 1.3), ("v", 1), ("out", 1)):
            linear(t, src, f"{p}self_attn.{part}_proj", width, width, gain)
        norm(t, src, p + "layer_norm2", width)
        linear(t, src, p + "mlp.fc1", 4 * width, width)
        linear(t, src, p + "mlp.fc2", width, 4 * width)


def tensors(shape, vocab):
    width, layers, _, patch, embed, text, _ = shape
    src, t, v = Source(), {}, "vision_model."
    t[v + "embeddings.class_embedding"] = src.normal(width, std=0.8)
    t[v + "embeddings.patch_embedding.weight"] = src.normal(
        width, 3, patch, patch, std=1 / (3 * patch * patch) ** 0.5)
    t[v + "embeddings.position_embedding.weight"] = src.normal(
        (SIDE // patch) ** 2 + 1, width, std=0.4)
    norm(t, src, v + "pre_layrnorm", width)
    encoder(t, src, v + "encoder.layers", width, layers)
    norm(t, src, v + "post_layernorm", width)
    t["visual_projection.weight"] = src.normal(embed, width,
                                               std=width ** -0.5)
    v = "text_model."
    t[v + "embeddings.token_embedding.weight"] = src.normal(vocab, text,
                                                            std=0.7)
    t[v + "embeddings.position_embedding.weight"] = src.normal(
        CONTEXT, text, std=0.4)
    encoder(t, src, v + "encoder.layers", text, 12)
    norm(t, src, v + "final_layer_norm", text)
    t["text_projection.weight"] = src.normal(embed, text, std=text ** -0.5)
    t["logit_scale"] = np.array(np.log(100), "<f4")
    return t


def byte_letters():
    """The letter that stands for each byte in a byte-level vocabulary."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in shown]
    return [chr(b) for b in shown] + [chr(256 + i)
                                      for i in range(len(hidden))]


def merges():
    """Pairs to join, the letters of each word from its first on; what several
    words begin with is there once."""
    pairs = {}
    for word in WORDS:
        letters = [*word[:-1], word[-1] + "</w>"]
        for i in range(1, len(letters)):
            pairs["".join(letters[:i]), letters[i]] = None
    return list(pairs)


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in SHAPES:
        sys.exit(f"usage: make_model.py {'|'.join(SHAPES)} DIR")
    shape, out = SHAPES[sys.argv[1]], sys.argv[2]
    width, layers, heads, patch, embed, text, text_heads = shape
    letters = byte_letters()
    words = letters + [c + "</w>" for c in letters]
    words += ["".join(pair) for pair in merges()]
    words += ["<|startoftext|>", "<|endoftext|>"]
    os.makedirs(out, exist_ok=True)

    def write(name, value):
        with open(os.path.join(out, name), "w", encoding="utf-8") as f:
            f.write(value if isinstance(value, str) else json.dumps(value))

    write("vocab.json", {w: i for i, w in enumerate(words)})
    write("merges.txt", "#version: 0.2\n" +
          "".join(" ".join(pair) + "\n" for pair in merges()))
    write("preprocessor_config.json", {
        "size": {"shortest_edge": SIDE}, "resample": 3,
        "crop_size": {"height": SIDE, "width": SIDE},
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711]})
    write_tensors(os.path.join(out, "model.safetensors"),
                  tensors(shape, len(words)))
    write("config.json", {
        "model_type": "clip", "architectures": ["CLIPModel"],
        "projection_dim": embed,
        "vision_config": {
            "hidden_size": width, "intermediate_size": 4 * width,
            "num_hidden_layers": layers, "num_attention_heads": heads,
            "image_size": SIDE, "patch_size": patch,
            "hidden_act": "quick_gelu"},
        "text_config": {
            "hidden_size": text, "intermediate_size": 4 * text,
            "num_hidden_layers": 12, "num_attention_heads": text_heads,
            "vocab_size": len(words), "hidden_act": "quick_gelu",
            "eos_token_id": len(words) - 1}})


if __name__ == "__main__":
    main()
