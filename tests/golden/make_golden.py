#!/usr/bin/env python3
"""Write the golden models and their expected values: make_golden.py [DIR]

Three tiny CLIPs of seeded random weights, each in another of the forms that
published models come in, and what every stage of them should give:

    vit     Hugging Face names, bfloat16, quick_gelu, vocab.json + merges.txt
    openai  OpenAI names with fused in_proj, float16, gelu, two shards with an
            index, tokenizer.json, open_clip_config.json
    resnet  a ModifiedResNet, float16 convolutions, open_clip_config.json

Only numpy is needed.  Each model is computed twice from the weights as they
are stored: the float64 values are the expected ones, and the distance of the
float32 values from them is the rounding that must be forgiven.
"""
import json
import math
import os
import shutil
import struct
import sys
import unicodedata

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
START, END = "<|startoftext|>", "<|endoftext|>"
CONTEXT, MERGES, EMBED, IMAGES = 20, 86, 16, 4
TEXT = dict(width=32, layers=2, heads=2, hidden=128)
SHOWN, POSITIVE, NEUTRAL = [0, 5, 2], [2, 3], [0, 4, 7]
PROMPTS = [
    "a photo of a dog in the garden",
    "",
    "two men are fighting with knives in the street",
    "A Person HOLDING a Gun!",
    "a woman reading a book, at home",
    "it's the neighbours' dog; they'll say we've lost 27 of 3,000",
    "cafe\u0301 nai\u0308ve \u0130stanbul \u03a3\u03a3 \u1e9e",
    "people walking on the beach",
    "\u732b\u306e\u5199\u771f \U0001f44d\U0001f3fd \u200b\u00a0 x",
    "word " * 40,
    "<|startoftext|> and !!! ... ???",
    "''s can'tx \u00bd\u0663 a1b2",
]
CORPUS = """
A photo of a person in the street. A photo of a dog in the garden. The man is
holding a knife and the woman is holding a book. People are walking on the
beach, and the children are playing with the dog. There is a gun on the table
of the house. Two men are fighting in the street, and another person is
watching them. This is a picture of food on a table. The weather over the city
was good and the mountain stood in the sun. She was reading to the child at
home; he is cooking and the cat is sleeping near the window. They are going
home with their dog. Someone is holding a phone and talking to a friend.
"""


# ---- a byte pair vocabulary, trained on the text above ----
def alphabet():
    """Byte -> printable character: visible Latin-1 as it is, the rest from U+0100 on."""
    seen = [b for b in range(256) if 0x21 <= b < 0x7F or (b >= 0xA1 and b != 0xAD)]
    table = {b: chr(b) for b in seen}
    for b in range(256):
        if b not in table:
            table[b] = chr(256 + len(table) - len(seen))
    return table


BYTES = alphabet()


def kind(c):
    """'s'pace, 'l'etter, 'n'umber or '.' for the rest"""
    if c.isspace() and c not in "\x1c\x1d\x1e\x1f":
        return "s"
    return {"L": "l", "N": "n"}.get(unicodedata.category(c)[0], ".")


def words(text):
    """Normalise and cut a text into what is encoded by itself."""
    text = " ".join(unicodedata.normalize("NFC", text).split())
    text = "".join(c.lower() for c in text)
    out = []
    while text:
        if text.startswith(START):
            n = len(START)
        elif m := next((s for s in ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d") if text.startswith(s)), None):
            n = len(m)
        else:
            k, n = kind(text[0]), 1
            while k in "l." and n < len(text) and kind(text[n]) == k and not text.startswith(START, n):
                n += 1
        if kind(text[0]) != "s":
            out.append(text[:n])
        text = text[n:]
    return out


def spell(word):
    parts = [BYTES[b] for b in word.encode()]
    return parts[:-1] + [parts[-1] + "</w>"]


def join(parts, pair):
    out, i = [], 0
    while i < len(parts):
        if tuple(parts[i:i + 2]) == pair:
            out.append(parts[i] + parts[i + 1])
            i += 2
        else:
            out.append(parts[i])
            i += 1
    return out


def train():
    corpus, merges = [spell(w) for w in words(CORPUS)], []
    while len(merges) < MERGES:
        count = {}
        for parts in corpus:
            for pair in zip(parts, parts[1:]):
                count[pair] = count.get(pair, 0) + 1
        best = max(count, key=lambda p: (count[p], p))
        merges.append(best)
        corpus = [join(parts, best) for parts in corpus]
    chars = sorted(BYTES.values())
    tokens = chars + [c + "</w>" for c in chars] + [a + b for a, b in merges] + [START, END]
    return {t: i for i, t in enumerate(tokens)}, merges


def encode(text, vocab, merges):
    rank = {p: i for i, p in enumerate(merges)}
    ids = [vocab[START]]
    for word in words(text):
        parts = [word] if word == START else spell(word)
        while known := [p for p in zip(parts, parts[1:]) if p in rank]:
            parts = join(parts, min(known, key=rank.get))
        ids += [vocab[p] for p in parts]
    return ids[:CONTEXT - 1] + [vocab[END]]


# ---- weights ----
class Weights:
    """Random tensors by OpenAI's names, rounded to the dtype they are stored in."""

    def __init__(self, seed, dtype):
        self.rng, self.dtype, self.t = np.random.default_rng(seed), dtype, {}

    def put(self, name, shape, std, mean=0.0, dtype=None):
        x = (mean + std * self.rng.standard_normal(shape)).astype(np.float32)
        self.t[name] = (dtype or self.dtype, rounded(x, dtype or self.dtype))

    def linear(self, name, out, n_in, bias=True, gain=1.0):
        self.put(name + ".weight", (out, n_in), gain / math.sqrt(n_in))
        if bias:
            self.put(name + ".bias", (out,), 0.3)

    def norm(self, name, n):
        self.put(name + ".weight", (n,), 0.25, 1.0)
        self.put(name + ".bias", (n,), 0.25)

    def blocks(self, prefix, width, layers, hidden):
        for i in range(layers):
            p = f"{prefix}.{i}"
            self.norm(p + ".ln_1", width)
            self.put(p + ".attn.in_proj_weight", (3 * width, width), 1.4 / math.sqrt(width))
            self.put(p + ".attn.in_proj_bias", (3 * width,), 0.3)
            self.linear(p + ".attn.out_proj", width, width)
            self.norm(p + ".ln_2", width)
            self.linear(p + ".mlp.c_fc", hidden, width)
            self.linear(p + ".mlp.c_proj", width, hidden)

    def text(self, vocab):
        w = TEXT["width"]
        self.put("token_embedding.weight", (vocab, w), 0.8)
        self.put("positional_embedding", (CONTEXT, w), 0.4)
        self.blocks("transformer.resblocks", w, TEXT["layers"], TEXT["hidden"])
        self.norm("ln_final", w)
        self.put("text_projection", (w, EMBED), 1 / math.sqrt(w))
        self.t["logit_scale"] = ("F32", np.array(math.log(25.0), np.float32))

    def vit(self, c):
        w = c["width"]
        self.put("visual.conv1.weight", (w, 3, c["patch"], c["patch"]), 1 / (c["patch"] * math.sqrt(3)))
        self.put("visual.class_embedding", (w,), 0.8)
        self.put("visual.positional_embedding", ((c["size"] // c["patch"]) ** 2 + 1, w), 0.4)
        self.norm("visual.ln_pre", w)
        self.blocks("visual.transformer.resblocks", w, c["layers"], c["hidden"])
        self.norm("visual.ln_post", w)
        self.put("visual.proj", (w, EMBED), 1 / math.sqrt(w))

    def conv(self, name, norm, out, n_in, k, gain=1.0):
        self.put(name + ".weight", (out, n_in, k, k), math.sqrt(2 / (n_in * k * k)))
        self.put(norm + ".weight", (out,), 0.2, gain, "F32")
        self.put(norm + ".bias", (out,), 0.2, 0.0, "F32")
        self.put(norm + ".running_mean", (out,), 0.2, 0.0, "F32")
        self.t[norm + ".running_var"] = ("F32", self.rng.uniform(0.4, 1.6, out).astype(np.float32))
        self.t[norm + ".num_batches_tracked"] = ("I64", np.array(7, np.int64))

    def resnet(self, c):
        w = c["width"]
        for i, (o, n) in enumerate([(w // 2, 3), (w // 2, w // 2), (w, w // 2)], 1):
            self.conv(f"visual.conv{i}", f"visual.bn{i}", o, n, 3)
        n = w
        for s, blocks in enumerate(c["stages"]):
            planes = w << s
            for b in range(blocks):
                p = f"visual.layer{s + 1}.{b}"
                self.conv(p + ".conv1", p + ".bn1", planes, n, 1)
                self.conv(p + ".conv2", p + ".bn2", planes, planes, 3)
                self.conv(p + ".conv3", p + ".bn3", 4 * planes, planes, 1, 0.5)
                if b == 0:
                    self.conv(p + ".downsample.0", p + ".downsample.1", 4 * planes, n, 1, 0.5)
                n = 4 * planes
        self.put("visual.attnpool.positional_embedding", ((c["size"] // 32) ** 2 + 1, n), 0.4)
        for part, out in (("q", n), ("k", n), ("v", n), ("c", EMBED)):
            self.linear(f"visual.attnpool.{part}_proj", out, n)


def rounded(x, dtype):
    """The float32 values that remain after storing x."""
    if dtype == "F16":
        return x.astype(np.float16).astype(np.float32)
    if dtype == "BF16":
        bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
        bits = (bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)
        return bits.view(np.float32)
    return x


def stored(dtype, x):
    if dtype == "F16":
        return x.astype(np.float16).tobytes()
    if dtype == "BF16":
        return (np.ascontiguousarray(x, np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()
    return x.tobytes()


def write_safetensors(path, tensors):
    head, body = {}, b""
    for name, (dtype, x) in sorted(tensors.items(), key=lambda i: ({"I64": 0, "F32": 1}.get(i[1][0], 2), i[0])):
        data = stored(dtype, x)
        head[name] = {"dtype": dtype, "shape": list(x.shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + body)


def hf_names(t):
    """OpenAI's names -> those of Hugging Face; in_proj cut in three, projections turned."""
    out = {}
    parts = [("ln_1", "layer_norm1"), ("ln_2", "layer_norm2"), ("mlp.c_fc", "mlp.fc1"), ("mlp.c_proj", "mlp.fc2"),
             ("attn.out_proj", "self_attn.out_proj")]
    whole = {"visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
             "visual.class_embedding": "vision_model.embeddings.class_embedding",
             "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
             "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
             "positional_embedding": "text_model.embeddings.position_embedding.weight", "logit_scale": "logit_scale"}
    for name, (dtype, x) in t.items():
        if name in whole:
            out[whole[name]] = (dtype, x)
        elif name in ("visual.proj", "text_projection"):
            new = "visual_projection" if name[0] == "v" else "text_projection"
            out[new + ".weight"] = (dtype, np.ascontiguousarray(x.T))
        elif "in_proj" in name:
            p, k = name.split(".attn.in_proj_")
            for which, band in zip("qkv", np.split(x, 3)):
                out[tower(p) + f".self_attn.{which}_proj.{k}"] = (dtype, band)
        else:
            for a, b in parts:
                name = name.replace("." + a + ".", "." + b + ".")
            name = name.replace("visual.ln_pre", "vision_model.pre_layrnorm")
            name = name.replace("visual.ln_post", "vision_model.post_layernorm")
            name = name.replace("ln_final", "text_model.final_layer_norm")
            out[tower(name)] = (dtype, x)
    return out


def tower(name):
    return name.replace("visual.transformer.resblocks", "vision_model.encoder.layers").replace(
        "transformer.resblocks", "text_model.encoder.layers")


# ---- the model, in the precision of its weights ----
class Model:
    def __init__(self, weights, act, dtype):
        self.w = {k: x.astype(dtype) for k, (_, x) in weights.t.items() if x.dtype != np.int64}
        self.act, self.dtype, self.scale = act, dtype, np.exp(self.w["logit_scale"])

    def activation(self, x):
        if self.act == "quick_gelu":
            return x / (1 + np.exp(-1.702 * x))
        erf = np.vectorize(math.erf, otypes=[np.float64])
        return x * (0.5 * (1 + erf(x.astype(np.float64) / math.sqrt(2)))).astype(x.dtype)

    def linear(self, x, name):
        y = x @ self.w[name + ".weight"].T
        return y + self.w[name + ".bias"]

    def norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + self.dtype(1e-5))
        return x * self.w[name + ".weight"] + self.w[name + ".bias"]

    def blocks(self, x, prefix, layers, heads, causal):
        """x [B,T,W]; also a record of each layer."""
        kept = []
        for i in range(layers):
            p, (b, n, width) = f"{prefix}.{i}", x.shape
            qkv = self.norm(x, p + ".ln_1") @ self.w[p + ".attn.in_proj_weight"].T + self.w[p + ".attn.in_proj_bias"]
            q, k, v = (y.reshape(b, n, heads, -1).transpose(0, 2, 1, 3) for y in np.split(qkv, 3, -1))
            s = q @ k.transpose(0, 1, 3, 2) / self.dtype(math.sqrt(width // heads))
            if causal:
                s = np.where(np.tril(np.ones((n, n), bool)), s, -np.inf)
            a = softmax(s)
            x = x + self.linear((a @ v).transpose(0, 2, 1, 3).reshape(b, n, width), p + ".attn.out_proj")
            m = self.linear(self.activation(self.linear(self.norm(x, p + ".ln_2"), p + ".mlp.c_fc")), p + ".mlp.c_proj")
            x = x + m
            kept.append(dict(a=a, v=v, mlp=m, x=x))
        return x, kept

    def text(self, ids):
        """[E] of one text, and the states [L+1,T,W]"""
        x = (self.w["token_embedding.weight"][ids] + self.w["positional_embedding"][:len(ids)])[None]
        y, kept = self.blocks(x, "transformer.resblocks", TEXT["layers"], TEXT["heads"], True)
        return (self.norm(y[:, -1], "ln_final") @ self.w["text_projection"])[0], [x[0]] + [k["x"][0] for k in kept]

    def vit(self, pixels, c):
        b, p, g = len(pixels), c["patch"], c["size"] // c["patch"]
        cut = pixels[:, :, :g * p, :g * p].reshape(b, 3, g, p, g, p).transpose(0, 2, 4, 1, 3, 5).reshape(b, g * g, -1)
        x = cut @ self.w["visual.conv1.weight"].reshape(c["width"], -1).T
        x = np.concatenate([np.broadcast_to(self.w["visual.class_embedding"], (b, 1, c["width"])), x], 1)
        x = self.norm(x + self.w["visual.positional_embedding"], "visual.ln_pre")
        y, kept = self.blocks(x, "visual.transformer.resblocks", c["layers"], c["heads"], False)
        return self.norm(y[:, 0], "visual.ln_post") @ self.w["visual.proj"], x, kept

    def conv(self, x, name, norm, stride=1):
        """Convolution padded by half its size, then batch norm.  x [C,h,w]"""
        w = self.w[name + ".weight"]
        k, h = w.shape[-1], x.shape[1]
        if k == 3:
            x = np.pad(x, ((0, 0), (1, 1), (1, 1)))
        n = (h - 1) // stride + 1
        y = sum(np.einsum("oi,ihw->ohw", w[:, :, i, j], x[:, i:i + h:stride, j:j + h:stride][:, :n, :n])
                for i in range(k) for j in range(k))
        at = (slice(None), None, None)
        y = (y - self.w[norm + ".running_mean"][at]) / np.sqrt(self.w[norm + ".running_var"][at] + self.dtype(1e-5))
        return y * self.w[norm + ".weight"][at] + self.w[norm + ".bias"][at]

    def resnet(self, x, c):
        """x [3,S,S] -> [E] and a record"""
        for i in (1, 2, 3):
            x = relu(self.conv(x, f"visual.conv{i}", f"visual.bn{i}", 2 if i == 1 else 1))
        x = stem = halve(x)
        for s, blocks in enumerate(c["stages"]):
            for b in range(blocks):
                p, y = f"visual.layer{s + 1}.{b}", x
                for i in (1, 2, 3):
                    if i == 3 and s > 0 and b == 0:
                        x, y = halve(x), halve(y)
                    x = self.conv(x, f"{p}.conv{i}", f"{p}.bn{i}")
                    x = relu(x) if i < 3 else x
                x = relu(x + (self.conv(y, p + ".downsample.0", p + ".downsample.1") if b == 0 else y))
        last, p = x, "visual.attnpool."
        content = x.reshape(len(x), -1).T
        tokens = np.concatenate([content.mean(0, keepdims=True), content])
        posed = tokens + self.w[p + "positional_embedding"]
        q, k, v = (self.linear(y, p + n).reshape(len(y), c["heads"], -1).transpose(1, 0, 2)
                   for y, n in ((posed[:1], "q_proj"), (posed, "k_proj"), (posed, "v_proj")))
        a = softmax(q @ k.transpose(0, 2, 1) / self.dtype(math.sqrt(v.shape[-1])))[:, 0]
        u = self.linear(np.einsum("hj,hjd->hd", a, v).reshape(-1), p + "c_proj")
        share = (content @ self.w[p + "v_proj.weight"].T).reshape(len(content), c["heads"], -1).transpose(1, 0, 2)
        return u, dict(stem=stem, last=last, a=a, v=v, share=share / len(content))


def softmax(s):
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def relu(x):
    return np.maximum(x, 0)


def halve(x):
    n = x.shape[1] // 2 * 2
    return (x[:, :n:2, :n:2] + x[:, 1:n:2, :n:2] + x[:, :n:2, 1:n:2] + x[:, 1:n:2, 1:n:2]) / 4


def unit(x):
    return x / np.sqrt((x * x).sum(-1, keepdims=True))


# ---- what every value should be ----
def picture(size, seed):
    """A soft gradient with a few rectangles on it, uint8 [S,S,3]"""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    img = np.stack([x, y, 1 - x * y], -1) * 200 + rng.normal(0, 8, (size, size, 3))
    for _ in range(4):
        a, b = rng.integers(0, size - 4, 2)
        img[a:a + rng.integers(3, size // 2), b:b + rng.integers(3, size // 2)] = rng.integers(0, 256, 3)
    return np.clip(np.rint(img), 0, 255).astype(np.uint8)


def weigh(sims, scale):
    """The margin of the positive prompts over the neutral ones, the weight of each prompt's cosine in it, and what is
    left over: margin = weights . sims + rest."""
    p, n = scale * sims[POSITIVE], scale * sims[NEUTRAL]
    w = np.zeros_like(sims)
    w[POSITIVE], w[NEUTRAL] = scale * softmax(p), -scale * softmax(n)
    margin = np.log(np.exp(p - p.max()).sum()) + p.max() - np.log(np.exp(n - n.max()).sum()) - n.max()
    return margin, w, margin - w @ sims


def vit_values(m, pixels, texts, c):
    """The long way round: every contribution is made as a vector of the stream, then scored."""
    u, x0, kept = m.vit(pixels, c)
    z, W = kept[-1]["x"][:, 0], c["width"]
    sigma = np.sqrt(z.var(-1) + m.dtype(1e-5))

    def score(v):                                # stream vectors [B,..,W] -> [T,B,..] of their part of the cosine
        shape = (-1,) + (1,) * (v.ndim - 2)
        v = (v - v.mean(-1, keepdims=True)) / sigma.reshape(shape + (1,)) * m.w["visual.ln_post.weight"]
        v = v @ m.w["visual.proj"] / np.linalg.norm(u, axis=-1).reshape(shape + (1,))
        return np.einsum("b...e,te->tb...", v, texts)

    token, bias, mlp = [], [], []
    for i, k in enumerate(kept):
        p = f"visual.transformer.resblocks.{i}.attn.out_proj"
        w = m.w[p + ".weight"].reshape(W, c["heads"], -1)
        token.append(score(np.einsum("bhj,bhjd,whd->bhjw", k["a"][:, :, 0], k["v"], w)))
        bias.append(score(np.broadcast_to(m.w[p + ".bias"], z.shape)))
        mlp.append(score(k["mlp"][:, 0]))
    token, bias, mlp = np.stack(token, 2), np.stack(bias, 2), np.stack(mlp, 2)      # [T,B,L,H,N], [T,B,L]
    first = score(x0[:, 0])
    beta = (texts @ (m.w["visual.ln_post.bias"] @ m.w["visual.proj"]))[:, None] / np.linalg.norm(u, axis=-1)
    sims = texts @ unit(u).T                                                       # [T,B]
    total = token.sum((2, 3, 4)) + bias.sum(2) + mlp.sum(2) + first + beta
    assert np.abs(total - sims).max() < 1e-5
    roll = np.zeros((len(u), 1, x0.shape[1]), m.dtype)
    roll[:, :, 0] = 1
    for k in reversed(kept):
        roll = (roll @ k["a"].mean(1) + roll) / 2
    out = dict(image_embeds=u, layers=np.stack([x0[0]] + [k["x"][0] for k in kept]),
               attention=np.stack([k["a"][0] for k in kept]), patch_terms=token[SHOWN, 0][..., 1:],
               cls_terms=token[SHOWN, 0][..., 0], out_bias_terms=bias[SHOWN, 0], mlp_terms=mlp[SHOWN, 0],
               x0_terms=first[SHOWN, 0], ln_bias_terms=beta[SHOWN, 0],
               sim_maps=token[SHOWN][..., 1:].sum((2, 3)).transpose(1, 0, 2), raw=kept[-1]["a"].mean(1)[:, 0, 1:],
               rollout=roll[:, 0, 1:])
    margins = [weigh(sims[:, b], m.scale) for b in range(len(u))]
    w = np.stack([x[1] for x in margins])                                          # [B,T]
    layers = np.einsum("bt,tblhn->bln", w, token)
    out.update(margin=np.array([x[0] for x in margins]), margin_layers=layers[..., 1:], margin_last=layers[:, -1, 1:],
               margin_maps=layers[..., 1:].sum(1),
               margin_rest=np.stack([layers[..., 0].sum(1), (w.T[..., None] * bias).sum((0, 2)),
                                     (w.T[..., None] * mlp).sum((0, 2)), (w.T * first).sum(0), (w.T * beta).sum(0),
                                     np.array([x[2] for x in margins])], 1))
    return out


def resnet_values(m, pixels, texts, c):
    us, terms = [], []
    for x in pixels:
        u, k = m.resnet(x, c)
        w = m.w["visual.attnpool.c_proj.weight"].reshape(EMBED, c["heads"], -1)
        r = np.einsum("te,ehd->thd", texts, w) / np.linalg.norm(u)
        us.append(u)
        terms.append(dict(token=np.einsum("hj,hjd,thd->thj", k["a"], k["v"], r),
                          share=np.einsum("h,hjd,thd->thj", k["a"][:, 0], k["share"], r),
                          bias=texts @ m.w["visual.attnpool.c_proj.bias"] / np.linalg.norm(u), rec=k))
    f = terms[0]
    sims = texts @ unit(np.stack(us)).T
    assert np.abs(f["token"].sum((1, 2)) + f["bias"] - sims[:, 0]).max() < 1e-5
    margins = [weigh(sims[:, b], m.scale) for b in range(len(us))]
    return dict(image_embeds=np.stack(us), stem=f["rec"]["stem"], layer4=f["rec"]["last"], pool_attention=f["rec"]["a"],
                patch_terms=f["token"][SHOWN][..., 1:], mean_token_terms=f["token"][SHOWN][..., 0],
                mean_share_terms=f["share"][SHOWN], bias_terms=f["bias"][SHOWN],
                sim_maps=np.stack([(t["token"][SHOWN][..., 1:] + t["share"][SHOWN]).sum(1) for t in terms]),
                margin=np.array([x[0] for x in margins]))


def values(weights, act, dtype, c, pixels, ids):
    m = Model(weights, act, dtype)
    made = [m.text(row) for row in ids]
    embeds = np.stack([x[0] for x in made])
    layers = np.zeros((TEXT["layers"] + 1, CONTEXT, TEXT["width"]))
    layers[:, :len(ids[5])] = np.stack(made[5][1])
    f = resnet_values if "stages" in c else vit_values
    return dict(f(m, pixels.astype(dtype), unit(embeds), c), text_embeds=embeds, text_layers=layers)


# ---- files ----
def dump(path, value):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, indent=1)
        f.write("\n")


def write_expected(path, c, weights, act, vocab, merges, rule):
    rows = [encode(p, vocab, merges) for p in PROMPTS]
    crops = np.stack([picture(c["size"], 40 + i) for i in range(IMAGES)])
    mean, std = (np.array(rule[k], np.float32) for k in ("mean", "std"))
    pixels = ((crops.astype(np.float32) / np.float32(255) - mean) / std).transpose(0, 3, 1, 2)
    exact = values(weights, act, np.float64, c, pixels, rows)
    rough = values(weights, act, np.float32, c, pixels, rows)
    arrays, tolerance = {}, {}

    def put(name, x, suffix):
        arrays[name] = dict(file=f"expected/{name}.{suffix}", shape=list(x.shape))
        x.tofile(os.path.join(path, arrays[name]["file"]))

    os.makedirs(os.path.join(path, "expected"))
    for name, x in exact.items():
        noise = np.abs(x - rough[name]).max()
        tolerance[name] = max(1e-6, float(f"{20 * noise:.1e}"))
        put(name, x.astype("<f4"), "f32")
    put("ids", np.array([r + [vocab[END]] * (CONTEXT - len(r)) for r in rows], "<i4"), "i32")
    put("crops", crops, "u8")
    put("pixels", pixels[:2].astype("<f4"), "f32")
    dump(os.path.join(path, "expected.json"),
         dict(note="written by tests/golden/make_golden.py", prompts=PROMPTS, shown_prompts=SHOWN, positive=POSITIVE,
              neutral=NEUTRAL, tolerance=tolerance, arrays=arrays))


def write_vocab(path, vocab, merges, one_file):
    if not one_file:
        dump(os.path.join(path, "vocab.json"), vocab)
        with open(os.path.join(path, "merges.txt"), "w", encoding="utf-8") as f:
            f.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
        return
    marks = {k: v for k, v in vocab.items() if k in (START, END)}
    dump(os.path.join(path, "tokenizer.json"), {
        "version": "1.0", "added_tokens": [dict(id=i, content=t, special=True) for t, i in marks.items()],
        "model": {"type": "BPE", "unk_token": END, "end_of_word_suffix": "</w>",
                  "vocab": {k: v for k, v in vocab.items() if k not in marks}, "merges": [f"{a} {b}" for a, b in merges]}})
    dump(os.path.join(path, "tokenizer_config.json"), {"model_max_length": 10 ** 30})


def make_vit(path, vocab, merges):
    c = dict(size=24, patch=8, width=32, layers=2, heads=4, hidden=128)
    rule = dict(mean=[0.48145466, 0.4578275, 0.40821073], std=[0.26862954, 0.26130258, 0.27577711])
    w = Weights(1117, "BF16")
    w.vit(c)
    w.text(len(vocab))
    write_safetensors(os.path.join(path, "model.safetensors"), hf_names(w.t))
    dump(os.path.join(path, "config.json"), {
        "model_type": "clip", "projection_dim": EMBED, "torch_dtype": "bfloat16",
        "vision_config": dict(hidden_size=32, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
                              image_size=24, patch_size=8),
        "text_config": dict(hidden_size=32, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
                            vocab_size=len(vocab), max_position_embeddings=CONTEXT, eos_token_id=vocab[END])})
    dump(os.path.join(path, "preprocessor_config.json"),
         dict(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24}, image_mean=rule["mean"], image_std=rule["std"]))
    write_vocab(path, vocab, merges, False)
    write_expected(path, c, w, "quick_gelu", vocab, merges, rule)


def open_clip(path, vocab, vision, act, rule):
    dump(os.path.join(path, "open_clip_config.json"), {
        "model_cfg": dict(embed_dim=EMBED, quick_gelu=act == "quick_gelu", vision_cfg=vision,
                          text_cfg=dict(context_length=CONTEXT, vocab_size=len(vocab), width=TEXT["width"],
                                        heads=TEXT["heads"], layers=TEXT["layers"])),
        "preprocess_cfg": rule})


def make_openai(path, vocab, merges):
    c = dict(size=20, patch=6, width=48, layers=3, heads=3, hidden=96)
    rule = dict(mean=[0.5, 0.4, 0.6], std=[0.3, 0.25, 0.2])
    w = Weights(2229, "F16")
    # 20 pixels hold three patches of 6; the last two lines are not seen.
    w.vit(c)
    w.text(len(vocab))
    names = sorted(w.t)
    index = {}
    for i, part in enumerate((names[::2], names[1::2]), 1):
        file = f"model-{i:05}-of-00002.safetensors"
        write_safetensors(os.path.join(path, file), {n: w.t[n] for n in part})
        index.update({n: file for n in part})
    dump(os.path.join(path, "model.safetensors.index.json"), {"metadata": {"total_size": 0}, "weight_map": index})
    open_clip(path, vocab, dict(image_size=20, patch_size=6, width=48, layers=3, head_width=16, mlp_ratio=2.0), "gelu",
              rule)
    write_vocab(path, vocab, merges, True)
    write_expected(path, c, w, "gelu", vocab, merges, rule)


def make_resnet(path, vocab, merges):
    c = dict(size=64, width=4, stages=[1, 1, 2, 1], heads=2)
    rule = dict(mean=[0.48145466, 0.4578275, 0.40821073], std=[0.26862954, 0.26130258, 0.27577711])
    w = Weights(3331, "F16")
    w.resnet(c)
    w.text(len(vocab))
    write_safetensors(os.path.join(path, "open_clip_model.safetensors"), w.t)
    open_clip(path, vocab, dict(image_size=64, width=4, layers=c["stages"]), "quick_gelu", rule)
    write_vocab(path, vocab, merges, False)
    write_expected(path, c, w, "quick_gelu", vocab, merges, rule)


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else HERE
    vocab, merges = train()
    for name, make in (("vit", make_vit), ("openai", make_openai), ("resnet", make_resnet)):
        path = os.path.join(out, name)
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        make(path, vocab, merges)
        print(name, sum(os.path.getsize(os.path.join(d, f)) for d, _, fs in os.walk(path) for f in fs), "bytes")


if __name__ == "__main__":
    main()
