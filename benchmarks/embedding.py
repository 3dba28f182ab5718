"""Texts and images to vectors with CLIP ViT-B/32, against `transformers`, in float32, to the same vectors.

    python benchmarks/embedding.py [--data DATA/flickr8k] [--texts 512] [--images 64] [--rounds 5] [--tiny]

Both sides have the same parameters and run alternately. Texts: both use the same tokenizer; the reference
then pads batches of 64 to 77 tokens, or only to the longest of the batch (`trimmed`); ours is
`Model.text_vectors`. Images: the reference is given normalised pixels, ours is `Model.encode` of uint8, one
at a time and in batches of 16. The script first checks that the vectors are equal to 1e-5. The `share` is
that of the physical limit: the reference's operations per image in this time, relative to the rate of a
float32 product of 2048 x 2048, measured alternately with the rest.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from captions import captions, clip_tokenizer
from clip_step import reference
from showtell.checkpoint.save import save_checkpoint
from showtell.data.batch import pad
from showtell.hub.huggingface.folder import import_folder
from showtell.pipelines.model import load_model
from table import command, table

BATCH, TEXTS = 16, 64


def features(output: Any) -> Tensor:
    """Vectors of length 1 from what the reference's `get_..._features` returns."""
    return F.normalize(output if isinstance(output, Tensor) else output.pooler_output, dim=-1)


def compare(
    ways: dict[str, Callable[[], Tensor]], rounds: int, limit: Callable[[], Tensor] | None = None
) -> dict[str, float]:
    """Median seconds of each way and of `limit`, run alternately, once their vectors are found equal."""
    first, *others = [way() for way in ways.values()]
    for other in others:
        torch.testing.assert_close(other, first, atol=1e-5, rtol=0)
    if limit:
        ways |= {"limit": limit}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in taken.items()}


@torch.inference_mode()
def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a data set with captions; default: random words")
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tiny", action="store_true", help="a tiny network, to try the script")
    options = parser.parse_args()
    tokenizer = clip_tokenizer(options.data)
    theirs = reference(tokenizer, len(tokenizer), options.tiny).eval()
    with torch.inference_mode(False), tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(Path(folder) / "theirs")
        save_checkpoint(
            Path(folder) / "ours",
            import_folder(Path(folder) / "theirs"),
            record={},
            tokenizer_json=tokenizer.to_json(),
            preprocess={"size": 224, "version": "squash224-v1"},
            card="",
        )
        ours = load_model(Path(folder) / "ours", "cpu")
    texts = captions(options.data, options.texts)
    images = list(np.random.default_rng(0).integers(0, 256, (options.images, 224, 224, 3), np.uint8))
    mean, std = (torch.tensor(v)[:, None, None] for v in (ours.system.config.mean, ours.system.config.std))
    normal = (torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255 - mean) / std

    def refer_texts(length: int) -> Tensor:
        parts = []
        for first in range(0, len(texts), TEXTS):
            rows = [tokenizer.encode(text, 77) for text in texts[first : first + TEXTS]]
            ids, keep = pad([*rows, [tokenizer.end] * length], tokenizer.end)
            ids, keep = ids[:-1], keep[:-1]
            parts.append(features(theirs.get_text_features(ids, attention_mask=keep.long())))
        return torch.cat(parts)

    def refer_images(size: int) -> Tensor:
        return torch.cat([features(theirs.get_image_features(some)) for some in normal.split(size)])

    def show_images(size: int) -> Tensor:
        starts = range(0, len(images), size)
        return torch.cat([ours.encode(images[first : first + size]).pooled for first in starts])

    square = torch.rand(2048, 2048)
    with FlopCounterMode(display=False) as counter:
        theirs.get_image_features(normal[:1])
    found = {
        "texts": compare(
            {
                "transformers, padded to 77": lambda: refer_texts(77),
                "transformers, trimmed": lambda: refer_texts(0),
                "showtell": lambda: ours.text_vectors(texts),
            },
            options.rounds,
        )
    }
    for size in (1, BATCH):
        found[f"images, {size} at a time"] = compare(
            {
                "transformers": lambda size=size: refer_images(size),
                "showtell": lambda size=size: show_images(size),
            },
            options.rounds,
            lambda: square @ square,
        )
    command()
    print(
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"transformers {transformers.__version__}\n"
    )
    rows = []
    for what, seconds in found.items():
        count = options.texts if what == "texts" else options.images
        slowest = next(iter(seconds.values()))
        limit = seconds.pop("limit", 0.0)
        for name, value in seconds.items():
            share = counter.get_total_flops() * count / value / (2 * 2048**3 / limit) if limit else None
            rows.append(
                [
                    *(what, name, f"{1000 * value / count:.2f}", f"{slowest / value:.2f}"),
                    f"{share:.0%}" if share else "",
                ]
            )
    table(["what", "by", "ms each", "speedup", "share"], rows)


if __name__ == "__main__":
    main()
