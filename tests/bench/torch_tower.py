"""The image tower in PyTorch, with its fused attention."""
import torch
from torch import nn
from torch.nn import functional as F

from clip_dir import read_vision


class Block(nn.Module):
    def __init__(self, v, t, p):
        super().__init__()
        width, self.heads = v["hidden_size"], v["num_attention_heads"]
        self.quick = v["hidden_act"] == "quick_gelu"

        def linear(names):
            w = torch.cat([torch.tensor(t[p + n + ".weight"]) for n in names])
            m = nn.Linear(w.shape[1], w.shape[0])
            m.weight.data = w
            m.bias.data = torch.cat([torch.tensor(t[p + n + ".bias"])
                                     for n in names])
            return m

        def norm(name):
            m = nn.LayerNorm(width, v["layer_norm_eps"])
            m.weight.data = torch.tensor(t[p + name + ".weight"])
            m.bias.data = torch.tensor(t[p + name + ".bias"])
            return m

        self.ln1, self.ln2 = norm("layer_norm1"), norm("layer_norm2")
        self.qkv = linear([f"self_attn.{n}_proj" for n in "qkv"])
        self.out = linear(["self_attn.out_proj"])
        self.up, self.down = linear(["mlp.fc1"]), linear(["mlp.fc2"])

    def forward(self, x):
        b, n, w = x.shape
        qkv = self.qkv(self.ln1(x)).view(b, n, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        x = x + self.out(y.transpose(1, 2).reshape(b, n, w))
        y = self.up(self.ln2(x))
        y = y * torch.sigmoid(1.702 * y) if self.quick else F.gelu(y)
        return x + self.down(y)


class Tower(nn.Module):
    def __init__(self, directory):
        super().__init__()
        v, t = read_vision(directory)
        e = "vision_model."
        self.blocks = nn.ModuleList(
            Block(v, t, f"{e}encoder.layers.{i}.")
            for i in range(v["num_hidden_layers"]))
        self.eps, self.patch_side = v["layer_norm_eps"], v["patch_size"]
        for name, key in (
                ("cls", "embeddings.class_embedding"),
                ("pos", "embeddings.position_embedding.weight"),
                ("patch", "embeddings.patch_embedding.weight"),
                ("pre_w", "pre_layrnorm.weight"),
                ("pre_b", "pre_layrnorm.bias"),
                ("post_w", "post_layernorm.weight"),
                ("post_b", "post_layernorm.bias")):
            self.register_buffer(name, torch.tensor(t[e + key]))
        self.register_buffer("proj", torch.tensor(
            t["visual_projection.weight"]))

    def forward(self, pixels):
        x = F.conv2d(pixels, self.patch, stride=self.patch_side)
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), 1, -1), x], 1) + self.pos
        x = F.layer_norm(x, self.pre_w.shape, self.pre_w, self.pre_b, self.eps)
        for block in self.blocks:
            x = block(x)
        x = F.layer_norm(x[:, 0], self.post_w.shape, self.post_w, self.post_b,
                         self.eps)
        return x @ self.proj.T
