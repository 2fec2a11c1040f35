#!/usr/bin/env python3
"""export_onnx.py MODEL_DIR OUT.onnx: the image tower as an ONNX graph.

Built node by node, so what the engines get is known: one matrix for q, k and
v, attention's scale folded into it, LayerNormalization as one node, biases
and activations in the form that ONNX Runtime and OpenVINO fuse.
"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from clip_dir import read_vision


class Graph:
    def __init__(self):
        self.nodes, self.consts = [], []

    def const(self, value):
        name = f"c{len(self.consts)}"
        self.consts.append(numpy_helper.from_array(
            np.array(value, order="C"), name))
        return name

    def op(self, kind, *inputs, **attributes):
        name = f"n{len(self.nodes)}"
        names = [i if isinstance(i, str) else self.const(i) for i in inputs]
        self.nodes.append(helper.make_node(kind, names, [name], name=name,
                                           **attributes))
        return name

    def linear(self, x, w, b=None):
        y = self.op("MatMul", x, w.T)
        return y if b is None else self.op("Add", y, b)

    def norm(self, x, t, name, eps):
        return self.op("LayerNormalization", x, t[name + ".weight"],
                       t[name + ".bias"], axis=-1, epsilon=eps)


def ints(*v):
    return np.array(v, np.int64)


def attention(g, x, t, p, width, heads, tokens):
    depth = width // heads
    scale = np.float32(depth ** -0.5)
    w = np.concatenate([t[f"{p}{n}_proj.weight"] * s
                        for n, s in (("q", scale), ("k", 1), ("v", 1))])
    b = np.concatenate([t[f"{p}{n}_proj.bias"] * s
                        for n, s in (("q", scale), ("k", 1), ("v", 1))])
    y = g.linear(x, w, b)
    y = g.op("Reshape", y, ints(0, tokens, 3, heads, depth))
    part = {}
    for i, n in enumerate("qkv"):
        one = g.op("Gather", y, np.array(i, np.int64), axis=2)
        part[n] = g.op("Transpose", one,
                       perm=[0, 2, 3, 1] if n == "k" else [0, 2, 1, 3])
    a = g.op("Softmax", g.op("MatMul", part["q"], part["k"]), axis=-1)
    y = g.op("Transpose", g.op("MatMul", a, part["v"]), perm=[0, 2, 1, 3])
    y = g.op("Reshape", y, ints(0, tokens, width))
    return g.linear(y, t[p + "out_proj.weight"], t[p + "out_proj.bias"])


def activation(g, x, kind):
    if kind == "quick_gelu":
        return g.op("Mul", x, g.op("Sigmoid", g.op(
            "Mul", x, np.array(1.702, np.float32))))
    return g.op("Gelu", x)


def tower(v, t):
    g, e = Graph(), "vision_model.embeddings."
    width, patch, eps = v["hidden_size"], v["patch_size"], v["layer_norm_eps"]
    patches = (v["image_size"] // patch) ** 2
    x = g.op("Conv", "pixels", t[e + "patch_embedding.weight"],
             strides=[patch, patch])
    x = g.op("Reshape", x, ints(0, width, patches))
    x = g.op("Transpose", x, perm=[0, 2, 1])
    # the class row takes its batch size from the patches
    first = g.op("Slice", x, ints(0), ints(1), ints(1))
    first = g.op("Mul", first, np.array(0, np.float32))
    first = g.op("Add", first, t[e + "class_embedding"])
    x = g.op("Concat", first, x, axis=1)
    x = g.op("Add", x, t[e + "position_embedding.weight"])
    x = g.norm(x, t, "vision_model.pre_layrnorm", eps)
    for i in range(v["num_hidden_layers"]):
        p = f"vision_model.encoder.layers.{i}."
        y = g.norm(x, t, p + "layer_norm1", eps)
        y = attention(g, y, t, p + "self_attn.", width,
                      v["num_attention_heads"], patches + 1)
        x = g.op("Add", x, y)
        y = g.norm(x, t, p + "layer_norm2", eps)
        y = g.linear(y, t[p + "mlp.fc1.weight"], t[p + "mlp.fc1.bias"])
        y = activation(g, y, v["hidden_act"])
        y = g.linear(y, t[p + "mlp.fc2.weight"], t[p + "mlp.fc2.bias"])
        x = g.op("Add", x, y)
    x = g.op("Gather", x, np.array(0, np.int64), axis=1)
    x = g.norm(x, t, "vision_model.post_layernorm", eps)
    g.nodes.append(helper.make_node(
        "MatMul", [x, g.const(t["visual_projection.weight"].T)], ["embed"]))
    return g


def main():
    directory, out = sys.argv[1:]
    v, t = read_vision(directory)
    side, g = v["image_size"], tower(v, t)
    embed = t["visual_projection.weight"].shape[0]
    graph = helper.make_graph(
        g.nodes, "clip-image",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT,
                                       ["batch", 3, side, side])],
        [helper.make_tensor_value_info("embed", TensorProto.FLOAT,
                                       ["batch", embed])], g.consts)
    model = helper.make_model(graph, ir_version=9, opset_imports=[
        helper.make_opsetid("", 20)])
    onnx.checker.check_model(model)
    onnx.save(model, out)


if __name__ == "__main__":
    main()
