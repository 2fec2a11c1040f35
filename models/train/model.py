"""The two towers, with the tensor names of a Hugging Face CLIP, so that export
is a dump. Image: ViT. Text: causal transformer read at <|endoftext|>."""
import math

import torch
import torch.nn.functional as F
from torch import nn

from scenes import PATCH, SIDE

CONFIG = {
    "image": SIDE, "patch": PATCH, "width": 128, "layers": 6, "heads": 4,
    "embed": 128, "text_width": 128, "text_layers": 2, "text_heads": 4,
    "context": 32, "merges": 1200,
}


LOCAL = 4               # layers whose heads look at neighbours at first
NEIGHBOURS = (((-1, 0), (1, 0), (0, -1), (0, 1)),
              ((-1, -1), (-1, 1), (1, -1), (1, 1)))


class Attention(nn.Module):
    def __init__(self, width, heads, causal):
        super().__init__()
        self.heads, self.causal = heads, causal
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            setattr(self, name, nn.Linear(width, width))

    def forward(self, x):
        b, n, d = x.shape
        w = torch.cat([self.q_proj.weight, self.k_proj.weight, self.v_proj.weight])
        c = torch.cat([self.q_proj.bias, self.k_proj.bias, self.v_proj.bias])
        q, k, v = (F.linear(x, w, c).view(b, n, 3, self.heads, d // self.heads)
                   .permute(2, 0, 3, 1, 4))
        if self.causal:
            out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:       # few tokens: plain products are several times faster here
            out = (q @ k.transpose(-1, -2) * (d // self.heads) ** -0.5
                   ).softmax(-1) @ v
        return self.out_proj(out.transpose(1, 2).reshape(b, n, d))


class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x):
        x = self.fc1(x)
        return self.fc2(x * torch.sigmoid(1.702 * x))       # quick_gelu


class Layer(nn.Module):
    def __init__(self, width, heads, causal):
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(width)
        self.self_attn = Attention(width, heads, causal)
        self.layer_norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width)

    def forward(self, x):
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class Encoder(nn.Module):
    def __init__(self, width, layers, heads, causal):
        super().__init__()
        self.layers = nn.ModuleList(Layer(width, heads, causal)
                                    for _ in range(layers))


def speeds(n):
    """n / 4 speeds whose cosines sum to nothing for every whole step but 0."""
    return math.pi * (torch.arange(n // 4) + 0.5) / (n // 4)


def sines(grid, n):
    """[grid * grid, n]: sines and cosines of row and column, n / 4 of each."""
    angle = torch.arange(grid)[:, None] * speeds(n)
    one = torch.cat([angle.sin(), angle.cos()], 1) * math.sqrt(2)
    return torch.cat([one[:, None].expand(grid, grid, -1),
                      one[None].expand(grid, grid, -1)], 2).flatten(0, 1)


def shift(n, rows, columns):
    """[n, n]: turns the sines of a place into those of a neighbour."""
    out = torch.zeros(n, n)
    for half, by in enumerate((rows, columns)):
        angle = by * speeds(n)
        q = n // 4
        at = half * 2 * q
        sin, cos = torch.diag(angle.sin()), torch.diag(angle.cos())
        out[at:at + q, at:at + q] = cos
        out[at:at + q, at + q:at + 2 * q] = sin
        out[at + q:at + 2 * q, at:at + q] = -sin
        out[at + q:at + 2 * q, at + q:at + 2 * q] = cos
    return out


class VisionEmbeddings(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.class_embedding = nn.Parameter(torch.randn(c["width"]) * 0.02)
        self.patch_embedding = nn.Conv2d(3, c["width"], c["patch"], c["patch"],
                                         bias=False)
        self.position_embedding = nn.Embedding(
            (c["image"] // c["patch"]) ** 2 + 1, c["width"])


class VisionModel(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.patch = c["patch"]
        self.embeddings = VisionEmbeddings(c)
        self.pre_layrnorm = nn.LayerNorm(c["width"])
        self.encoder = Encoder(c["width"], c["layers"], c["heads"], False)
        self.post_layernorm = nn.LayerNorm(c["width"])

    def forward(self, pixels):
        """pixels [B, 3, S, S] -> pooled [B, width], patch tokens before the last
        layer [B, n, width]"""
        e, p = self.embeddings, self.patch
        b, _, s, _ = pixels.shape
        g = s // p
        x = (pixels.view(b, 3, g, p, g, p).permute(0, 2, 4, 1, 3, 5)
             .reshape(b, g * g, 3 * p * p))
        position = e.position_embedding.weight
        x = F.linear(x, e.patch_embedding.weight.flatten(1)) + position[1:]
        head = (e.class_embedding + position[0]).expand(b, 1, -1)
        x = self.pre_layrnorm(torch.cat([head, x], 1))
        for layer in self.encoder.layers[:-1]:
            x = layer(x)
        patches = x[:, 1:]
        x = self.encoder.layers[-1](x)
        return self.post_layernorm(x[:, 0]), patches


class TextModel(nn.Module):
    def __init__(self, c, vocab):
        super().__init__()
        self.embeddings = nn.Module()
        self.embeddings.token_embedding = nn.Embedding(vocab, c["text_width"])
        self.embeddings.position_embedding = nn.Embedding(c["context"],
                                                          c["text_width"])
        self.encoder = Encoder(c["text_width"], c["text_layers"],
                               c["text_heads"], True)
        self.final_layer_norm = nn.LayerNorm(c["text_width"])

    def forward(self, ids, eos):
        e = self.embeddings
        x = e.token_embedding(ids) + e.position_embedding.weight[:ids.shape[1]]
        for layer in self.encoder.layers:
            x = layer(x)
        end = (ids == eos).int().argmax(1)
        return self.final_layer_norm(x[torch.arange(len(x)), end])


class Clip(nn.Module):
    def __init__(self, config, vocab):
        super().__init__()
        self.vision_model = VisionModel(config)
        self.text_model = TextModel(config, vocab)
        self.visual_projection = nn.Linear(config["width"], config["embed"],
                                           bias=False)
        self.text_projection = nn.Linear(config["text_width"], config["embed"],
                                         bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.eos = vocab - 1
        self.start()

    def start(self):
        for name, w in self.named_parameters():
            if "norm" in name or "layrnorm" in name or name == "logit_scale":
                continue
            if name.endswith(".bias"):
                nn.init.zeros_(w)
            elif "embedding" in name and "patch" not in name:
                nn.init.normal_(w, std=0.02)
            else:
                nn.init.trunc_normal_(w, std=w[0].numel() ** -0.5 * 0.8)
            if name.endswith(("out_proj.weight", "fc2.weight")):
                w.data.mul_(0.4)
        self.start_vision()

    @torch.no_grad()
    def start_vision(self):
        """A start that suits little data. The first channels of the stream hold
        the place of a patch as sines; at first, each head of the lower layers
        looks at one neighbour (a convolution, in effect: shifting a place is
        turning its sines) and the upper layers look everywhere."""
        v = self.vision_model
        position = v.embeddings.position_embedding.weight
        width = position.shape[1]
        n = width // v.encoder.layers[0].self_attn.heads
        position[0] = 0
        position[1:] = self.places(math.isqrt(len(position) - 1))
        v.embeddings.class_embedding[:n] = 0
        for at, layer in enumerate(v.encoder.layers):
            a = layer.self_attn
            a.out_proj.weight[:n] = 0           # places stay readable
            layer.mlp.fc2.weight[:n] = 0
            for h in range(a.heads):
                rows = slice(h * n, h * n + n)
                if at < LOCAL:
                    a.k_proj.weight[rows] = 0.01 * torch.randn(n, width)
                    a.q_proj.weight[rows] = 0.01 * torch.randn(n, width)
                    look = NEIGHBOURS[at % 2][h % len(NEIGHBOURS[0])]
                    a.k_proj.weight[rows, :n] += torch.eye(n)
                    a.q_proj.weight[rows, :n] += shift(n, *look)

    def places(self, grid):
        """[grid^2, width]: where each patch is, as the start knows it."""
        v = self.vision_model
        width = v.embeddings.class_embedding.shape[0]
        n = width // v.encoder.layers[0].self_attn.heads
        out = torch.zeros(grid * grid, width)
        out[:, :n] = 2 * sines(grid, n)
        out[:, n:2 * n] = -out[:, :n]       # layer norms leave it alone
        return out

    @torch.no_grad()
    def start_patches(self, patches):
        """patches [N, 3 * P * P]: rows of the patch projection become their
        principal directions, scaled so that weak ones are heard too."""
        patches = patches - patches.mean(0)
        size, basis = torch.linalg.eigh(patches.t() @ patches / len(patches))
        w = self.vision_model.embeddings.patch_embedding.weight
        place = self.vision_model.encoder.layers[0].self_attn
        place = w.shape[0] // place.heads       # channels kept for the place
        n = w.shape[0] - place
        basis, size = basis.flip(1)[:, :n], size.flip(0)[:n]
        turn = torch.linalg.qr(torch.randn(n, n))[0]
        scaled = basis / (size[None] + 0.01 * size[0]).pow(0.4)
        w.zero_()
        w[place:] = (turn @ scaled.t()).view_as(w[place:])
        w.mul_(0.7 / (patches @ w[place:].flatten(1).t()).std())

    def side(self):
        """Pixels of the pictures that the positions are for."""
        e = self.vision_model.embeddings
        return self.vision_model.patch * math.isqrt(len(e.position_embedding.weight))

    @torch.no_grad()
    def enlarge(self, position, side):
        """[1 + grid^2, width]: position embeddings for pictures of another side:
        the sines go on at their pace, what was learnt beside them is stretched."""
        old, new = math.isqrt(len(position) - 1), side // self.vision_model.patch
        learnt = position[1:] - self.places(old)
        learnt = F.interpolate(learnt.t().reshape(1, -1, old, old), (new, new),
                               mode="bicubic", align_corners=False)
        return torch.cat([position[:1], self.places(new)
                          + learnt.flatten(2)[0].t()])

    def image(self, pixels):
        pooled, patches = self.vision_model(pixels)
        return F.normalize(self.visual_projection(pooled), dim=-1), pooled, patches

    def text(self, ids):
        return F.normalize(self.text_projection(self.text_model(ids, self.eos)),
                           dim=-1)

    def scale(self):
        return self.logit_scale.clamp(max=math.log(100)).exp()
