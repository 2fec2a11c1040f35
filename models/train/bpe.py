"""Train a byte-level BPE vocabulary in CLIP's file format, and use it.

vocab.json: 256 byte characters, the same with </w>, one entry per merge, the two
marks. merges.txt: "#version: 0.2", then one pair a line, most frequent first.
The encoder here covers plain lower-case English, all that training needs.
"""
import collections
import json
import os
import re

BOS, EOS = "<|startoftext|>", "<|endoftext|>"
PIECE = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[a-z]+|[0-9]|[^\sa-z0-9]+")


def byte_characters():
    keep = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(b) for b in keep] + [chr(0x100 + n) for n in range(256 - len(keep))]


def train(sentences, merges):
    """-> list of pairs, learnt greedily by frequency, ties by alphabet."""
    counts = collections.Counter(p for s in sentences
                                 for p in PIECE.findall(s.lower()))
    words = {w: [*w[:-1], w[-1] + "</w>"] for w in counts}
    pairs, where = collections.Counter(), collections.defaultdict(set)
    for w, parts in words.items():
        for pair in zip(parts, parts[1:]):
            pairs[pair] += counts[w]
            where[pair].add(w)
    out = []
    while len(out) < merges and pairs:
        best = max(pairs, key=lambda p: (pairs[p], p))
        if pairs[best] < 1:
            break
        out.append(best)
        for w in list(where[best]):
            parts = words[w]
            for pair in zip(parts, parts[1:]):
                pairs[pair] -= counts[w]
                where[pair].discard(w)
            words[w] = parts = merge(parts, best)
            for pair in zip(parts, parts[1:]):
                pairs[pair] += counts[w]
                where[pair].add(w)
        del pairs[best]
    return out


def merge(parts, pair):
    out, i = [], 0
    while i < len(parts):
        if tuple(parts[i:i + 2]) == pair:
            out.append(parts[i] + parts[i + 1])
            i += 2
        else:
            out.append(parts[i])
            i += 1
    return out


class Tokenizer:
    def __init__(self, merges, context):
        chars = byte_characters()
        tokens = (chars + [c + "</w>" for c in chars]
                  + [a + b for a, b in merges] + [BOS, EOS])
        self.merges, self.context = merges, context
        self.vocab = {t: i for i, t in enumerate(tokens)}
        self.rank = {p: i for i, p in enumerate(merges)}
        self.bos, self.eos = self.vocab[BOS], self.vocab[EOS]
        self.cache = {}

    def piece(self, text):
        if text not in self.cache:
            parts = [*text[:-1], text[-1] + "</w>"]
            while len(parts) > 1:
                best = min(zip(parts, parts[1:]),
                           key=lambda p: self.rank.get(p, len(self.rank)))
                if best not in self.rank:
                    break
                parts = merge(parts, best)
            self.cache[text] = [self.vocab[p] for p in parts]
        return self.cache[text]

    def __call__(self, texts):
        """-> id rows, all as long as the longest, padded with <|endoftext|>."""
        rows = []
        for text in texts:
            ids = [i for p in PIECE.findall(text.lower()) for i in self.piece(p)]
            rows.append([self.bos, *ids[:self.context - 2], self.eos])
        longest = max(map(len, rows))
        return [r + [self.eos] * (longest - len(r)) for r in rows]

    def save(self, folder):
        with open(os.path.join(folder, "vocab.json"), "w", encoding="utf-8") as f:
            json.dump(self.vocab, f, ensure_ascii=False)
        with open(os.path.join(folder, "merges.txt"), "w", encoding="utf-8") as f:
            f.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in self.merges))

    @classmethod
    def load(cls, folder, context):
        with open(os.path.join(folder, "merges.txt"), encoding="utf-8") as f:
            lines = f.read().split("\n")[1:]
        return cls([tuple(x.split(" ")) for x in lines if x], context)
