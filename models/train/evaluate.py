"""Figures of the starter model."""
import numpy as np
import torch

from captions import Bank
from scenes import Scenes
from train import pixels

PROMPTS = ("a photo of {}.", "a picture of {}.", "a drawing of {}.")


def concept_vectors(model, tokenizer):
    """[K, E]: the first word of each concept in three templates, as a policy
    would say it."""
    from captions import article
    bank = Bank()
    texts = [t.format(article(w[0])) for w in bank.words for t in PROMPTS]
    e = model.text(torch.tensor(tokenizer(texts)))
    return torch.nn.functional.normalize(
        e.view(len(bank.words), len(PROMPTS), -1).mean(1), dim=-1)


@torch.no_grad()
def top1_plain(model, tokenizer, cache, style):
    scenes = Scenes(cache, style)
    rng = np.random.default_rng(0)
    images, truth = [], []
    for k in scenes.known:
        for names in scenes.by_style[k].values():
            for i in names:
                images.append(scenes.draw(rng, [k], True, True, [i])[0])
                truth.append(k)
    u = model.image(pixels(np.stack(images)))[0]
    guess = (u @ concept_vectors(model, tokenizer).t()).argmax(1).numpy()
    truth = np.array(truth)
    return np.mean([(guess[truth == k] == k).mean() for k in scenes.known])
