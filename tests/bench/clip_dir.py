"""A Hugging Face CLIP directory, read and written with numpy alone."""
import json
import os
import struct

import numpy as np

from cost import DEFAULTS

KINDS = {"F32": np.float32, "F16": np.float16}


def read_tensors(path):
    with open(path, "rb") as f:
        size, = struct.unpack("<Q", f.read(8))
        head = json.loads(f.read(size))
        base = 8 + size
    data = np.memmap(path, np.uint8, "r")
    tensors = {}
    for name, t in head.items():
        if name != "__metadata__" and t["dtype"] in KINDS:
            a, b = t["data_offsets"]
            v = data[base + a:base + b].view(KINDS[t["dtype"]])
            tensors[name] = v.reshape(t["shape"])
    return tensors


def write_tensors(path, tensors):
    head, at = {}, 0
    for name, v in tensors.items():
        head[name] = {"dtype": "F32", "shape": list(v.shape),
                      "data_offsets": [at, at + v.nbytes]}
        at += v.nbytes
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for v in tensors.values():
            f.write(np.ascontiguousarray(v, "<f4").tobytes())


def read_config(directory):
    with open(os.path.join(directory, "config.json")) as f:
        return json.load(f)


def read_vision(directory):
    """(numbers, tensors) of the image tower; absent numbers are the defaults."""
    v = {**DEFAULTS, **read_config(directory)["vision_config"]}
    t = read_tensors(os.path.join(directory, "model.safetensors"))
    t = {k: np.asarray(w, np.float32) for k, w in t.items()
         if k.startswith("vision_model.") or k == "visual_projection.weight"}
    return v, t
