"""Where cosines come from: the C engine (clipward scan --json) or PyTorch.

Both answer score(pictures, policies): per picture {policy id: {prompt: (cosine,
score)}}, and the engine also maps. A policy is the parsed YAML of its file.
"""
import json
import os
import subprocess
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from PIL import Image

import bpe
from model import CONFIG, Clip
from common import pixels


class Engine:
    """The product itself. Pictures go through PNG files, as a user's would."""

    def __init__(self, program, model):
        self.command = [program, "scan", "--json", "--model", model]

    def score(self, pictures, policies, maps=False):
        with tempfile.TemporaryDirectory() as folder:
            rules = os.path.join(folder, "policies")
            os.mkdir(rules)
            for p in policies:
                with open(f"{rules}/{p['id']}.yaml", "w", encoding="utf-8") as f:
                    yaml.safe_dump(p, f)
            names = []
            for i, picture in enumerate(pictures):
                names.append(os.path.join(folder, f"{i:05}.png"))
                Image.fromarray(picture).save(names[-1])
            command = [*self.command, "--policies", rules]
            if maps:
                os.mkdir(os.path.join(folder, "maps"))
                command += ["--maps", os.path.join(folder, "maps")]
            out = []
            for i in range(0, len(names), 500):
                run = subprocess.run(command + names[i:i + 500], text=True,
                                     stdout=subprocess.PIPE,
                                     stderr=subprocess.DEVNULL, check=False)
                out += [json.loads(line) for line in run.stdout.splitlines()]
        if len(out) != len(pictures):
            raise RuntimeError(f"{len(out)} verdicts for {len(pictures)} pictures")
        return [self.unpack(v) for v in out]

    def embed(self, picture):
        """Unit vector of one picture."""
        with tempfile.NamedTemporaryFile(suffix=".png") as f:
            Image.fromarray(picture).save(f.name)
            run = subprocess.run([self.command[0], "embed", "--model",
                                  self.command[-1], "--image", f.name],
                                 stdout=subprocess.PIPE, check=True)
        return np.array(json.loads(run.stdout)["embedding"])

    @staticmethod
    def unpack(verdict):
        if verdict["decision"] == "error":
            raise RuntimeError(json.dumps(verdict["error"]))
        scores = {}
        for s in verdict["scores"]:
            scores.setdefault(s["policy"], {})[s["prompt"]] = (s["cosine"],
                                                               s["score"])
        return {"scores": scores, "maps": verdict.get("maps", []),
                "decision": verdict["decision"],
                "flags": verdict.get("flags", [])}


def read_model(folder):
    """The tensors of a float16 model.safetensors, as float32."""
    with open(os.path.join(folder, "model.safetensors"), "rb") as f:
        raw = f.read()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:8 + size])
    header.pop("__metadata__", None)
    out = {}
    for name, info in header.items():
        begin, end = (8 + size + o for o in info["data_offsets"])
        array = np.frombuffer(raw[begin:end], "<f2").reshape(info["shape"])
        out[name] = torch.from_numpy(array.astype(np.float32))
    return out


class Torch:
    """The same arithmetic in PyTorch, of a model directory or, without one, of
    the same network with random weights."""

    def __init__(self, folder=None, seed=0):
        torch.manual_seed(seed)
        self.tokenizer = (bpe.Tokenizer.load(folder, CONFIG["context"]) if folder
                          else bpe.Tokenizer([], CONFIG["context"]))
        self.model = Clip(CONFIG, len(self.tokenizer.vocab)).eval()
        if folder:
            self.model.load_state_dict(read_model(folder))

    @torch.no_grad()
    def texts(self, prompts, templates):
        out = [self.model.text(torch.tensor(self.tokenizer(
            [t.replace("{}", p) for t in templates]))).mean(0) for p in prompts]
        return F.normalize(torch.stack(out), dim=-1)

    @torch.no_grad()
    def images(self, pictures):
        return torch.cat([self.model.image(pixels(np.stack(pictures[i:i + 100])))[0]
                          for i in range(0, len(pictures), 100)])

    @torch.no_grad()
    def score(self, pictures, policies, maps=False):
        u = self.images(pictures)
        out = [{"scores": {}, "maps": []} for _ in pictures]
        s = self.model.scale()
        for p in policies:
            prompts = [t["text"] if isinstance(t, dict) else t
                       for c in p["categories"] for t in c["prompts"]]
            cos = u @ self.texts(prompts, p["templates"]).t()
            against = u @ self.texts(p["neutral"], p["templates"]).t()
            rest = (s * against).logsumexp(1, keepdim=True)
            score = torch.sigmoid(s * cos - rest)
            for o, c, r in zip(out, cos.tolist(), score.tolist()):
                o["scores"][p["id"]] = dict(zip(prompts, zip(c, r)))
        return out
