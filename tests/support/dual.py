"""Squares of four colours with captions, and a small CLIP that has learned the colours."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

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


def captioned_squares(folder: Path) -> Path:
    """Noisy squares of the four colours: 16 for training and four for validation."""
    rng = np.random.default_rng(0)
    for split, numbers in (("train", range(16)), ("val", range(16, 20))):
        (folder / split).mkdir()
        lines = []
        for number in numbers:
            name, colour = list(COLOURS.items())[number % 4]
            pixels = np.clip(np.array(colour) + rng.integers(-25, 25, (70, 60, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / split / f"{number}.png")
            captions = [f"a {name} square", f"this square is {name}"]
            lines.append(json.dumps({"file_name": f"{number}.png", "captions": captions}))
        (folder / split / "metadata.jsonl").write_text("\n".join(lines))
    return folder
