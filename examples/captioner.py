"""Show, Attend and Tell by hand: captions from a frozen backbone, in one loop over showtell's parts.

    python examples/captioner.py [DATA]

A frozen EfficientNet turns an image into a grid of vectors, once. An LSTM then writes the caption token by
token and attends to a part of the grid for each. Training is teacher forcing: given the true tokens so far,
the loss is the negative log-likelihood of the next. At the end it captions a few images by beam search.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.data.captions.read import read_captions
from showtell.data.images.decode import load_image
from showtell.data.images.samples import sample_photographs
from showtell.data.sampler import Sampler
from showtell.data.tokenizers.words import WordTokenizer
from showtell.hub.backbones import load_backbone
from showtell.systems.show_attend_and_tell import ShowAttendAndTellConfig
from showtell.tasks.caption import caption


def main(data: Path | None = None, steps: int = 60, batch_size: int = 16) -> list[float]:
    """Train on images with captions, or on sample photographs; return the loss of each step."""
    # Any format that showtell knows; the sample photographs are captioned by their names.
    if data:
        pairs = [(entry.path, entry.captions[0]) for entry in read_captions(data).entries if entry.captions]
    else:
        pairs = [(path, path.stem.replace("_", " ")) for path in sample_photographs()]
    paths, captions = zip(*pairs, strict=True)
    backbone = load_backbone("efficientnet_lite0")
    features = backbone(np.stack([backbone.prepare(load_image(path)) for path in paths]))  # [B N D]
    tokenizer = WordTokenizer.train(captions)
    ids, keep = pad([tokenizer.encode(text, 20) for text in captions])

    torch.manual_seed(0)
    config = ShowAttendAndTellConfig(token_width=128, word_width=64, width=128, attention_width=64)
    system = config.with_tokenizer(tokenizer).with_feature_width(backbone.width).build()
    optimiser = torch.optim.AdamW(system.parameters(), lr=2e-3)

    sampler = Sampler(len(features), batch_size)
    losses = []
    for step in range(steps):
        rows = sampler(step)
        texts = TextBatch(ids[rows], keep[rows], owner=torch.arange(len(rows)))
        outcome = system(Batch(ImageBatch(features=features[rows]), texts))
        # Two losses: that of the tokens, and one that spreads the attention over the whole image.
        loss = sum(system.loss_weights[name] * value for name, value in outcome.losses.items())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if step % 10 == 0:
            print(f"step {step:4}  loss {loss.item():6.3f}")

    encoded = system.eval().encode_images(Batch(ImageBatch(features=features[:4])))
    for path, (best,) in zip(paths, caption(system, tokenizer, encoded), strict=False):
        print(f"{path.name}: {best.text}")
    return losses


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
