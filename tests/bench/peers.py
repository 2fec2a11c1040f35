#!/usr/bin/env python3
"""peers.py ENGINE WORK_DIR BATCH THREADS SECONDS: one engine, one figure.

Prints a line of JSON: images_per_s (median over the passes), cosine of the
embedding to the float64 reference, version.  WORK_DIR is what bench.sh made.
Engines that need a quantised graph make it on first use and keep it there.
"""
import json
import os
import sys
import time

import numpy as np


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def ort_session(path, threads):
    import onnxruntime as ort
    o = ort.SessionOptions()
    o.intra_op_num_threads, o.inter_op_num_threads = threads, 1
    s = ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])
    return lambda x: s.run(None, {"pixels": x})[0], ort.__version__


def ort_fp32(work, batch, threads):
    return ort_session(os.path.join(work, "model.onnx"), threads)


def ort_int8(reduce_range):
    """Dynamic quantisation, a scale per channel; 7-bit weights if reduced."""
    def make(work, batch, threads):
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


def ov_session(model, batch, threads, precision):
    import openvino as ov
    core = ov.Core()
    side = model.input(0).partial_shape[2].get_length()
    model.reshape([batch, 3, side, side])
    options = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1,
               "PERFORMANCE_HINT": "LATENCY"}
    if precision:
        options["INFERENCE_PRECISION_HINT"] = precision
    r = core.compile_model(model, "CPU", options).create_infer_request()
    return lambda x: next(iter(r.infer({0: x}).values())), ov.__version__


def ov_float(precision):
    """precision "": what OpenVINO takes by itself (bfloat16 where it can)"""
    def make(work, batch, threads):
        import openvino as ov
        model = ov.Core().read_model(os.path.join(work, "model.onnx"))
        return ov_session(model, batch, threads, precision)
    return make


def ov_int8(work, batch, threads):
    """NNCF post-training quantisation, calibrated on seeded pictures."""
    import openvino as ov
    path = os.path.join(work, "model-nncf.xml")
    if not os.path.exists(path):
        import nncf
        model = ov.Core().read_model(os.path.join(work, "model.onnx"))
        pixels = np.load(os.path.join(work, "pixels.npy"))
        rng = np.random.RandomState(1)
        data = [(np.roll(pixels, rng.randint(200, size=2), (1, 2)) *
                 rng.uniform(0.3, 1))[None].astype(np.float32)
                for _ in range(32)]
        model = nncf.quantize(model, nncf.Dataset(data),
                              model_type=nncf.ModelType.TRANSFORMER)
        ov.save_model(model, path, compress_to_fp16=False)
    return ov_session(ov.Core().read_model(path), batch, threads, "")


def torch_float(bf16):
    def make(work, batch, threads):
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


ENGINES = {
    "ort-fp32": ort_fp32, "ort-int8": ort_int8(False),
    "ort-int7": ort_int8(True), "openvino-f32": ov_float("f32"),
    "openvino-auto": ov_float(""), "openvino-int8": ov_int8,
    "torch-fp32": torch_float(False), "torch-bf16": torch_float(True),
}


def main():
    engine, work = sys.argv[1:3]
    batch, threads, seconds = (int(v) for v in sys.argv[3:])
    pixels = np.load(os.path.join(work, "pixels.npy"))
    want = np.load(os.path.join(work, "embed.npy"))
    x = np.ascontiguousarray(np.repeat(pixels[None], batch, 0))
    run, version = ENGINES[engine](work, batch, threads)
    y = run(x)
    times, start = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < seconds:
        t = time.perf_counter()
        run(x)
        times.append(time.perf_counter() - t)
    print(json.dumps({"images_per_s": batch / float(np.median(times)),
                      "cosine": cosine(y[-1].astype(np.float64), want),
                      "version": version}))


if __name__ == "__main__":
    main()
