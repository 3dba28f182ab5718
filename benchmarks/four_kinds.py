"""Where the time of an image and a text goes, in the four kinds of Kim et al. 2021 ("ViLT", figures 1 and 2).

    python benchmarks/four_kinds.py [--rounds 5] [--svg docs/four_kinds.svg]

One image and one text of 16 tokens at the papers' sizes, with random parameters, which take as long as
trained ones: milliseconds of the text's embedding, of the image's with the network before it, and of what is
left for their fusion. They are processor time of one thread, medians of rounds in which all systems take
turns, so that other work on the machine counts little. Images have 384 pixels a side where pixels are read
(CLIP 224), and 224 where the frozen `efficientnet_lite0` reads them: for VSE, and for regions, which are a
pyramid over its grid and not a detector's. `--svg` draws the four kinds, each box as high as its time.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from showtell.data.batch import Batch, ImageBatch, TextBatch
from showtell.hub.backbone import Backbone
from showtell.hub.backbones import load_backbone
from showtell.pairing import PairEncoder
from showtell.systems.clip import CLIPConfig
from showtell.systems.pixel_bert import PixelBERTConfig
from showtell.systems.uniter import UNITERConfig
from showtell.systems.vilbert import ViLBERTConfig
from showtell.systems.vilt import ViLTConfig
from showtell.systems.vse import VSEConfig
from table import command, table

TOKENS = 16
PARTS = ("text", "image", "fusion")
COLOURS = {"text": "#5b8bd0", "image": "#d08a3e", "fusion": "#7a9a4b"}
HIGHEST, WIDE, LOW = 220, 130, 300
"""Pixels of the drawing: the highest box, a panel, and where boxes stand."""


def systems(width: int) -> Mapping[str, tuple[str, Any, int]]:
    """By name: the kind, the config, and the side of its image; 0 for the frozen encoder's features."""
    return {
        "VSE": ("a", VSEConfig(feature_width=width), 0),
        "CLIP": ("b", CLIPConfig(), 224),
        "ViLBERT": ("c", ViLBERTConfig(feature_width=width), 0),
        "UNITER": ("c", UNITERConfig(feature_width=width), 0),
        "Pixel-BERT": ("c", PixelBERTConfig(image_size=384), 384),
        "ViLT": ("d", ViLTConfig(), 384),
    }


def parts_of(config: Any, side: int, frozen: Backbone) -> tuple[int, dict[str, Callable[[], object]]]:
    """The number of parameters of a system, and each part of its work; `whole` is text and fusion."""
    torch.manual_seed(0)
    system = config.build().eval()
    ids = torch.randint(5, 1000, (1, TOKENS))
    text = Batch(texts=TextBatch(ids, torch.ones_like(ids, dtype=torch.bool)))
    pixels = torch.randint(256, (1, 3, side or 384, side or 384), dtype=torch.uint8)
    prepared = frozen.prepare(pixels[0].permute(1, 2, 0).numpy())[None]

    def images() -> Batch:
        return Batch(ImageBatch(pixels=pixels) if side else ImageBatch(features=frozen(prepared)))

    count = sum(parameter.numel() for parameter in system.parameters())
    if isinstance(system, PairEncoder):
        with torch.inference_mode():
            embedded = system.embed_images(images())
        return count, {
            "text": lambda: system.embed_texts(text.texts),
            "image": lambda: system.embed_images(images()),
            "whole": lambda: system.match(system.pair_vectors(text, embedded)),
        }
    with torch.inference_mode():
        image, words = system.image_vectors(images()), system.text_vectors(text)
    return count, {
        "text": lambda: system.text_vectors(text),
        "image": lambda: system.image_vectors(images()),
        "fusion": lambda: image @ words.T,
    }


@torch.inference_mode()
def measured(
    ways: Mapping[str, Mapping[str, Callable[[], object]]], rounds: int
) -> dict[str, dict[str, float]]:
    """Median milliseconds of each part of each system, after a round that is not timed."""
    taken: dict[tuple[str, str], list[float]] = {}
    for round_ in range(rounds + 1):
        for name, parts in ways.items():
            for part, way in parts.items():
                began = time.process_time()
                way()
                if round_:
                    taken.setdefault((name, part), []).append(1000 * (time.process_time() - began))
    found = {}
    for name, parts in ways.items():
        one = {part: statistics.median(taken[name, part]) for part in parts}
        if "whole" in one:
            one["fusion"] = max(one.pop("whole") - one["text"], 0.0)
        found[name] = one
    return found


def draw(kinds: Mapping[str, str], times: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """The systems side by side: text and image below, what they meet in above, as high as their time."""
    most = max(one["fusion"] + max(one["text"], one["image"]) for one in times.values())
    drawn = []
    for place, (name, one) in enumerate(times.items()):
        left, high = 20 + place * WIDE, {part: max(one[part] / most * HIGHEST, 1.5) for part in PARTS}
        top = LOW - max(high["text"], high["image"])
        for part, x, wide, bottom in (
            ("text", left, 46, LOW), ("image", left + 54, 46, LOW), ("fusion", left, 100, top - 8)
        ):  # fmt: skip
            y = bottom - high[part]
            drawn.append(
                f'<rect x="{x}" y="{y:.1f}" width="{wide}" height="{high[part]:.1f}" fill="{COLOURS[part]}"/>'
            )
        drawn += [
            f'<text x="{left + 23}" y="{LOW + 15}">{one["text"]:.1f}</text>',
            f'<text x="{left + 77}" y="{LOW + 15}">{one["image"]:.1f}</text>',
            f'<text x="{left + 50}" y="{top - 14 - high["fusion"]:.1f}">{one["fusion"]:.1f}</text>',
            f'<text x="{left + 50}" y="{LOW + 38}" font-weight="bold">({kinds[name]}) {name}</text>',
        ]
    for place, part in enumerate(PARTS):
        x = 20 + place * 190
        drawn.append(f'<rect x="{x}" y="{LOW + 56}" width="12" height="12" fill="{COLOURS[part]}"/>')
        drawn.append(f'<text x="{x + 18}" y="{LOW + 67}" text-anchor="start">{part}, ms</text>')
    wide = 20 + WIDE * len(times)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {LOW + 80}" font-family="sans-serif" '
        'font-size="12" text-anchor="middle" fill="#808890"><title>Time of text, image and fusion</title>'
        f"{''.join(drawn)}</svg>\n",
        encoding="utf-8",
    )


def main() -> None:
    """Print the table, and draw it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--svg", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    command()
    frozen = load_backbone("efficientnet_lite0", "cpu")
    named = systems(frozen.width)
    made = {name: parts_of(config, side, frozen) for name, (_, config, side) in named.items()}
    times = measured({name: parts for name, (_, parts) in made.items()}, options.rounds)
    kinds = {name: kind for name, (kind, _, _) in named.items()}
    rows = [
        [f"({kinds[name]})", name, f"{made[name][0] / 1e6:.1f}", *(f"{one[part]:.1f}" for part in PARTS)]
        for name, one in times.items()
    ]
    table(["kind", "system", "million parameters", *(f"{part}, ms" for part in PARTS)], rows)
    if options.svg:
        draw(kinds, times, options.svg)


if __name__ == "__main__":
    main()
