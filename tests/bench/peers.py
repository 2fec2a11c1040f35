#!/usr/bin/env python3
"""peers.py ENGINE WORK_DIR THREADS: one engine, kept ready.

Says {"version": ...} when it is, then answers each line of JSON
{"batch": N, "seconds": S, "files": [...]} with {"images_per_s": ..., "cosine":
...}: the median over the passes, and the embedding's cosine to the float64
reference.  WORK_DIR is what bench.sh made.  Engines that need a quantised
graph make it on first use and keep it there.  Only the engines that read
pictures themselves look at `files`.
"""
import json
import os
import sys
import time

import numpy as np


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


# ---- pixels to embeddings ------------------------------------------------

def ort_session(path, threads):
    import onnxruntime as ort
    o = ort.SessionOptions()
    o.intra_op_num_threads, o.inter_op_num_threads = threads, 1
    s = ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])
    return lambda x: s.run(None, {"pixels": x})[0], ort.__version__


def ort_fp32(work, threads):
    return ort_session(os.path.join(work, "model.onnx"), threads)


def ort_int8(reduce_range):
    """Dynamic quantisation, a scale per channel; 7-bit weights if reduced."""
    def make(work, threads):
        path = os.path.join(work, f"model-int{7 if reduce_range else 8}.onnx")
        if not os.path.exists(path):
            from onnxruntime.quantization import QuantType, quantize_dynamic
            quantize_dynamic(os.path.join(work, "model.onnx"), path + ".new",
                             per_channel=True, reduce_range=reduce_range,
                             weight_type=QuantType.QInt8,
                             extra_options={"MatMulConstBOnly": True})
            os.rename(path + ".new", path)
        return ort_session(path, threads)
    return make


def ov_session(read, threads, precision):
    """A compiled model for each batch size that is asked for."""
    import openvino as ov
    core, ready = ov.Core(), {}
    options = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1,
               "PERFORMANCE_HINT": "LATENCY"}
    if precision:
        options["INFERENCE_PRECISION_HINT"] = precision

    def run(x):
        if len(x) not in ready:
            model = read(core)
            side = model.input(0).partial_shape[2].get_length()
            model.reshape([len(x), 3, side, side])
            compiled = core.compile_model(model, "CPU", options)
            ready[len(x)] = compiled.create_infer_request()
        return next(iter(ready[len(x)].infer({0: x}).values()))
    return run, ov.__version__


def ov_float(precision):
    """precision "": what OpenVINO takes by itself (bfloat16 where it can)"""
    def make(work, threads):
        path = os.path.join(work, "model.onnx")
        return ov_session(lambda core: core.read_model(path), threads,
                          precision)
    return make


def ov_int8(work, threads):
    """NNCF post-training quantisation, calibrated on seeded pictures."""
    path = os.path.join(work, "model-nncf.xml")
    if not os.path.exists(path):
        import nncf
        import openvino as ov
        model = ov.Core().read_model(os.path.join(work, "model.onnx"))
        pixels = np.load(os.path.join(work, "pixels.npy"))
        rng = np.random.RandomState(1)
        data = [(np.roll(pixels, rng.randint(200, size=2), (1, 2)) *
                 rng.uniform(0.3, 1))[None].astype(np.float32)
                for _ in range(32)]
        model = nncf.quantize(model, nncf.Dataset(data),
                              model_type=nncf.ModelType.TRANSFORMER)
        ov.save_model(model, path, compress_to_fp16=False)
    return ov_session(lambda core: core.read_model(path), threads, "")


def torch_float(bf16):
    def make(work, threads):
        import torch
        from torch_tower import Tower
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        tower = Tower(os.path.join(work, "model"))
        if bf16:
            tower = tower.bfloat16()

        def run(x):
            x = torch.from_numpy(x)
            return tower(x.bfloat16() if bf16 else x).float().numpy()
        return run, torch.__version__
    return make


# ---- bytes to embeddings -------------------------------------------------

def faster_clip(work, threads):
    """It takes pictures' bytes and finds its weights in a cache of its own,
    where those of the bench are put under the name it looks for."""
    name = "sentence-transformers__clip-ViT-B-32/0_CLIPModel"
    cache = os.path.join(work, "faster-clip")
    weights = os.path.join(cache, name, "model.safetensors")
    if not os.path.exists(weights):
        os.makedirs(os.path.dirname(weights), exist_ok=True)
        os.symlink(os.path.join(os.path.abspath(work), "model",
                                "model.safetensors"), weights)
    os.environ["FASTER_CLIP_CACHE"] = cache
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    import faster_clip as fc
    model = fc.ClipModel()

    def run(files):
        bodies = []
        for path in files:
            with open(path, "rb") as f:
                bodies.append(f.read())
        return np.array(model.encode_image(bodies), np.float32)
    return run, fc.__version__


def pillow_ort(draft):
    """What a script of a few lines does: Pillow, numpy, ONNX Runtime."""
    def make(work, threads):
        import PIL
        from PIL import Image
        embed, version = ort_fp32(work, threads)
        with open(os.path.join(work, "model", "preprocessor_config.json"),
                  encoding="utf-8") as f:
            rule = json.load(f)
        side = rule["size"]["shortest_edge"]
        mean = np.array(rule["image_mean"], np.float32)
        std = np.array(rule["image_std"], np.float32)

        def load(path):
            im = Image.open(path)
            if draft:
                im.draft("RGB", (2 * side, 2 * side))
            im = im.convert("RGB")
            w, h = im.size
            size = (side, side * h // w) if w <= h else (side * w // h, side)
            im = im.resize(size, Image.BICUBIC)
            x, y = (size[0] - side) // 2, (size[1] - side) // 2
            im = im.crop((x, y, x + side, y + side))
            v = (np.asarray(im, np.float32) / 255 - mean) / std
            return v.transpose(2, 0, 1)
        return (lambda files: embed(np.stack([load(p) for p in files])),
                f"{PIL.__version__}, {version}")
    return make


ENGINES = {
    "ort-fp32": ort_fp32, "ort-int8": ort_int8(False),
    "ort-int7": ort_int8(True), "openvino-f32": ov_float("f32"),
    "openvino-auto": ov_float(""), "openvino-int8": ov_int8,
    "torch-fp32": torch_float(False), "torch-bf16": torch_float(True),
    "faster-clip": faster_clip, "pillow-ort": pillow_ort(False),
    "pillow-draft-ort": pillow_ort(True),
}
CLOCK = time.process_time if os.environ.get("CW_BENCH_CLOCK") == "cpu" \
    else time.perf_counter
READ_FILES = ("faster-clip", "pillow-ort", "pillow-draft-ort")


class Server:
    def __init__(self, engine, work, threads):
        self.engine = engine
        self.picture = os.path.join(work, "picture.png")
        self.pixels = np.load(os.path.join(work, "pixels.npy"))
        self.want = np.load(os.path.join(work, "embed.npy"))
        self.run, self.version = ENGINES[engine](work, threads)
        self.warm = set()

    def inputs(self, ask):
        """Endless batches: the same pixels, or the next of the files."""
        n = ask["batch"]
        if self.engine not in READ_FILES:
            x = np.ascontiguousarray(np.repeat(self.pixels[None], n, 0))
            while True:
                yield x
        files, at = ask.get("files") or [self.picture], 0
        while True:
            yield [files[(at + i) % len(files)] for i in range(n)]
            at += n

    def answer(self, ask):
        batches, answer = self.inputs(ask), {}
        if ask["batch"] not in self.warm:
            self.run(next(batches))
            self.warm.add(ask["batch"])
        times, start = [], time.perf_counter()
        while not times or time.perf_counter() - start < ask["seconds"]:
            x = next(batches)
            t = CLOCK()
            y = self.run(x)
            times.append(CLOCK() - t)
        answer["images_per_s"] = ask["batch"] / float(np.median(times))
        if not ask.get("files"):
            answer["cosine"] = cosine(y[-1].astype(np.float64), self.want)
        return answer


def main():
    server = Server(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    print(json.dumps({"version": server.version}), flush=True)
    for text in sys.stdin:
        print(json.dumps(server.answer(json.loads(text))), flush=True)


if __name__ == "__main__":
    main()
