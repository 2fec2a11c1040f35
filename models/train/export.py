"""Write a trained state as a model directory in the Hugging Face layout.

usage: export.py STATE.pt DIR
"""
import json
import os
import struct
import sys

import numpy as np
import torch

import bpe
from common import MEAN, STD


def write_safetensors(path, tensors):
    """{name: float16 array} -> one file, by name, 8-byte aligned."""
    header, offset, blobs = {"__metadata__": {"format": "pt"}}, 0, []
    for name in sorted(tensors):
        blob = tensors[name].astype("<f2").tobytes()
        header[name] = {"dtype": "F16", "shape": list(tensors[name].shape),
                        "data_offsets": [offset, offset + len(blob)]}
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def write_json(folder, name, value):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        json.dump(value, f, indent=1)
        f.write("\n")


def main(state_path, folder):
    state = torch.load(state_path, map_location="cpu")
    c, tensors = state["config"], state["average"]
    os.makedirs(folder, exist_ok=True)
    tensors = {n: t.float().numpy() for n, t in tensors.items()}
    tensors["logit_scale"] = np.minimum(tensors["logit_scale"], np.log(100.0))
    write_safetensors(os.path.join(folder, "model.safetensors"), tensors)
    tokenizer = bpe.Tokenizer([tuple(m) for m in state["merges"]], c["context"])
    tokenizer.save(folder)
    common = {"hidden_act": "quick_gelu", "layer_norm_eps": 1e-5}
    write_json(folder, "config.json", {
        "architectures": ["CLIPModel"], "model_type": "clip",
        "_name_or_path": "starter", "projection_dim": c["embed"],
        "logit_scale_init_value": 2.6592, "torch_dtype": "float16",
        "text_config": {
            "model_type": "clip_text_model", "hidden_size": c["text_width"],
            "intermediate_size": 4 * c["text_width"],
            "num_hidden_layers": c["text_layers"],
            "num_attention_heads": c["text_heads"],
            "projection_dim": c["embed"],
            "vocab_size": len(tokenizer.vocab),
            "max_position_embeddings": c["context"],
            "bos_token_id": tokenizer.bos, "eos_token_id": tokenizer.eos,
            "pad_token_id": tokenizer.eos, **common},
        "vision_config": {
            "model_type": "clip_vision_model", "hidden_size": c["width"],
            "intermediate_size": 4 * c["width"],
            "num_hidden_layers": c["layers"],
            "num_attention_heads": c["heads"], "num_channels": 3,
            "projection_dim": c["embed"],
            "image_size": c["image"], "patch_size": c["patch"], **common}})
    write_json(folder, "tokenizer_config.json", {
        "tokenizer_class": "CLIPTokenizer", "do_lower_case": True,
        "model_max_length": c["context"], "bos_token": bpe.BOS,
        "eos_token": bpe.EOS, "unk_token": bpe.EOS, "pad_token": bpe.EOS})
    write_json(folder, "preprocessor_config.json", {
        "image_processor_type": "CLIPImageProcessor",
        "feature_extractor_type": "CLIPFeatureExtractor",
        "do_convert_rgb": True, "do_resize": True, "do_center_crop": True,
        "do_rescale": True, "do_normalize": True, "resample": 3,
        "rescale_factor": 1 / 255, "size": {"shortest_edge": c["image"]},
        "crop_size": {"height": c["image"], "width": c["image"]},
        "image_mean": list(MEAN),
        "image_std": list(STD)})
    size = os.path.getsize(os.path.join(folder, "model.safetensors"))
    count = sum(t.size for t in tensors.values())
    print(f"{folder}: step {state['step']}, {count} parameters, {size} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:3])
