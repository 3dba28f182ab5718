"""CLIP by hand: one space for images and their captions, in one loop over showtell's parts.

    python examples/clip.py [DATA]

Each batch holds images and one caption per image. Both become vectors of length 1, and the loss is a
cross-entropy: which image of the batch does a caption describe, and which caption describes an image? At
chance it is the logarithm of the batch size. At the end the first caption is searched for among all images.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.data.captions.read import read_captions
from showtell.data.images.decode import load_image
from showtell.data.images.resize import squash
from showtell.data.images.samples import sample_photographs
from showtell.data.sampler import Sampler
from showtell.data.tokenizers.words import WordTokenizer
from showtell.systems.clip import CLIPConfig, TowerConfig

SMALL = TowerConfig(width=128, num_heads=4, mlp_dim=256, depth=3)


def main(data: Path | None = None, steps: int = 150, batch_size: int = 32) -> list[float]:
    """Train on images with captions, or on sample photographs; return the loss of each step."""
    # Any format that showtell knows; the sample photographs are captioned by their names.
    if data:
        pairs = [(entry.path, entry.captions[0]) for entry in read_captions(data).entries if entry.captions]
    else:
        pairs = [(path, path.stem.replace("_", " ")) for path in sample_photographs()]
    paths, captions = zip(*pairs, strict=True)
    pixels = torch.from_numpy(np.stack([squash(load_image(path), 64) for path in paths])).permute(0, 3, 1, 2)
    tokenizer = WordTokenizer.train(captions)
    ids, keep = pad([tokenizer.encode(caption, 30) for caption in captions])

    torch.manual_seed(0)
    config = CLIPConfig(SMALL, SMALL, image_size=64, patch_size=16, max_length=32, width=64)
    system = config.with_tokenizer(tokenizer).build()
    optimiser = torch.optim.AdamW(system.parameters(), lr=5e-4, weight_decay=0.1)

    # No image may come twice in a batch: it would be its own negative.
    sampler = Sampler(len(pixels), batch_size, distinct=True)
    losses = []
    for step in range(steps):
        rows = sampler(step)
        texts = TextBatch(ids[rows], keep[rows], owner=torch.arange(len(rows)))
        outcome = system(Batch(ImageBatch(pixels=pixels[rows]), texts))
        loss = outcome.losses["contrast"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        system.after_step(outcome)  # keeps the temperature from falling below 1/100
        losses.append(loss.item())
        if step % 10 == 0:
            print(f"step {step:4}  loss {loss.item():6.3f}")

    with torch.no_grad():
        images = system.eval().encode_images(Batch(ImageBatch(pixels=pixels))).pooled
        query = system.encode_texts(Batch(texts=TextBatch(ids[:1], keep[:1]))).pooled
    best = (images @ query[0]).topk(min(3, len(images))).indices
    print(f'"{captions[0]}":', ", ".join(paths[i].name for i in best))
    return losses


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
