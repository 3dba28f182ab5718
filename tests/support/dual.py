"""A small CLIP that has learned four colours."""

from pathlib import Path

import torch

from showtell.checkpoint.save import save_checkpoint
from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.systems.clip import CLIP, CLIPConfig, TowerConfig

COLOURS = {"red": (220, 30, 30), "green": (30, 190, 60), "blue": (30, 60, 220), "yellow": (230, 220, 40)}
SIZE = 8


def colour_clip(folder: Path) -> Path:
    """A checkpoint that tells "a red square" from "a green square"."""
    texts = [f"a {colour} square" for colour in COLOURS]
    tokenizer = SubwordTokenizer.train([*texts, "the image of it"], "bpe", 560, "clip")
    torch.manual_seed(0)
    system = CLIP(
        CLIPConfig(
            TowerConfig(12, 3, 24, 1),
            TowerConfig(12, 3, 24, 1),
            image_size=SIZE,
            patch_size=4,
            vocab_size=len(tokenizer),
            max_length=12,
            width=8,
        )
    )
    ids, keep = pad([tokenizer.encode(text) for text in texts], tokenizer.pad)
    optimiser = torch.optim.AdamW(system.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        noise = torch.randint(-20, 20, (4, 3, SIZE, SIZE), generator=generator)
        pixels = (torch.tensor([*COLOURS.values()])[..., None, None] + noise).clamp(0, 255).to(torch.uint8)
        step = system(Batch(ImageBatch(pixels=pixels), TextBatch(ids, keep, owner=torch.arange(4))))
        optimiser.zero_grad()
        step.losses["contrast"].backward()
        optimiser.step()
    save_checkpoint(
        folder,
        system,
        record={"recipe": "colour_clip"},
        tokenizer_json=tokenizer.to_json(),
        preprocess={"size": SIZE, "version": f"squash{SIZE}-v1"},
        card="# colours\n",
    )
    return folder
