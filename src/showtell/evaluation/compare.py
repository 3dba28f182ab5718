"""Models that bring images and texts together, side by side: parameters, FLOPs, time by part, retrieval.

Kim et al. 2021, "ViLT", figure 1, measured anew: the milliseconds of the text's embedding, of the image's,
and of their fusion, for one image and one text, beside how well captions find their images.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from showtell.data.batch import Batch, ImageBatch, TextBatch
from showtell.data.captions.entry import Entry
from showtell.data.captions.read import read_captions
from showtell.data.images.decode import ImageError
from showtell.datasets.captions import divide, refuse_two_splits
from showtell.errors import UsageError, UserError
from showtell.nn.watch import watch_attention
from showtell.pairing import PairScorer
from showtell.pipelines.engines.rerank import joined
from showtell.pipelines.model import Model
from showtell.progress import report
from showtell.protocols import SharedSpace
from showtell.tasks.metrics import ranks, recall
from showtell.tasks.pair_scores import pair_scores

REPEATS = 9
"""Runs that are timed, after one that is not; the median counts."""
CHUNK = 32
"""Images embedded at once."""


@dataclass(frozen=True)
class Comparison:
    """The figures of one model."""

    model: str
    system: str
    parameters: int
    """Without those of a frozen backbone."""
    backbone: str
    """Of the frozen image encoder before the system, if any."""
    flops: int
    """Of one image and one text: of matrix products and convolutions, those of a backbone included."""
    milliseconds: dict[str, float]
    """Of one image and one text: `text`, `image` and `fusion`."""
    images: int
    text_to_image: dict[str, float]
    """R@1, 5 and 10 of the first caption of each image among all images."""
    image_to_text: dict[str, float]
    """The same of each image among those captions."""
    unreadable: int
    """Images that were left out."""


def compare(
    models: Sequence[Model],
    data: Path | str,
    split: str = "val",
    *,
    format: str | None = None,
    images: int = 100,
) -> list[Comparison]:
    """Every model on the first `images` captioned images of a split.

    A model of pairs scores each text with each image: its time grows with the square of their number.

    Raises `UsageError` for a model that compares no images with texts, `UserError` for a split without
    captioned images.
    """
    for model in models:
        if not (model.can(PairScorer) or model.can(SharedSpace)):
            raise UsageError(f"the model {model.name} compares no images with texts; leave it out")
    source = read_captions(Path(data), format)
    refuse_two_splits(Path(data), source)
    splits = divide(source.entries)
    entries = splits.get(split, [])[:images]
    if not entries:
        found = ", ".join(sorted(splits)) or "none"
        raise UserError(f"{data} has no captioned image in the split {split!r}; it has {found}")
    return [_compare(model, entries) for model in models]


def _compare(model: Model, entries: Sequence[Entry]) -> Comparison:
    pixels, captions, unreadable = list[np.ndarray](), list[str](), 0
    for entry in entries:
        try:
            pixels.append(model.read(entry.path))
        except ImageError:
            unreadable += 1
        else:
            captions.append(entry.captions[0])
    if not pixels:
        raise UserError(f"none of the {len(entries)} images can be read by {model.name}")
    rows = [model.tokenizer.encode(text, model.max_length) for text in captions]
    scores = _scores(model, pixels, rows)
    backbone = model.image_input.backbone if model.image_input else None
    own = range(len(rows))
    return Comparison(
        model.name,
        type(model.system).__name__,
        sum(parameter.numel() for parameter in model.system.parameters()),
        backbone.name if backbone else "",
        _flops(model, pixels[0], rows[0]),
        _times(model, pixels[0], rows[0]),
        len(rows),
        _recalls(scores, own),
        _recalls(scores.T, own),
        unreadable,
    )


def _recalls(scores: np.ndarray, own: range) -> dict[str, float]:
    return {f"recall{k}": value for k, value in recall(ranks(scores, own)).items()}


def _texts(model: Model, ids: Sequence[int]) -> Batch:
    one = torch.tensor([list(ids)], device=model.device)
    return Batch(texts=TextBatch(one, torch.ones_like(one, dtype=torch.bool)))


def _images(model: Model, pixels: Sequence[np.ndarray]) -> Batch:
    """Prepared images as the system reads them, through the frozen backbone where there is one."""
    assert model.image_input is not None
    return model.image_input.batch(np.stack(pixels)).to(model.device)


def _times(model: Model, pixels: np.ndarray, ids: Sequence[int]) -> dict[str, float]:
    """Milliseconds of the text's embedding, the image's, and what is left for their fusion."""
    system, text = model.system, _texts(model, ids)
    if not model.can(PairScorer):
        with torch.inference_mode():
            image, words = system.image_vectors(_images(model, [pixels])), system.text_vectors(text)
        return {
            "text": _milliseconds(lambda: system.text_vectors(text)),
            "image": _milliseconds(lambda: system.image_vectors(_images(model, [pixels]))),
            "fusion": _milliseconds(lambda: image @ words.T),
        }
    with torch.inference_mode():
        embedded = system.embed_images(_images(model, [pixels]))
    alone = _milliseconds(lambda: system.embed_texts(text.texts))
    both = _milliseconds(lambda: system.match(system.fuse(text, embedded)))
    return {
        "text": alone,
        "image": _milliseconds(lambda: system.embed_images(_images(model, [pixels]))),
        "fusion": max(both - alone, 0.0),  # `fuse` embeds the text too
    }


def _flops(model: Model, pixels: np.ndarray, ids: Sequence[int]) -> int:
    """Of the system, and of its frozen backbone as torch computes it.

    The counter sees no packed layers, no products that torch hands to oneDNN (see `nn/linear.py`) and no
    fused attention: a fresh system in float64, whose attention is watched, has none of them. Of a backbone
    products by oneDNN are not counted.
    """
    fresh: Any = model.system.config.build().double().to(model.device).eval()
    given, text = _images(model, [pixels]), _texts(model, ids)
    shown = {n: t.double() if t.is_floating_point() else t for n, t in given.images.tensors.items()}
    batch = Batch(ImageBatch(**shown), text.texts)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), watch_attention(), counter:
        if model.can(PairScorer):
            fresh.match(fresh.fuse(batch))
        else:
            fresh.image_vectors(batch)
            fresh.text_vectors(batch)
        if model.image_input and model.image_input.backbone:
            values = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
            model.image_input.backbone.features(values.to(model.device))
    return counter.get_total_flops()


@torch.inference_mode()
def _scores(model: Model, pixels: Sequence[np.ndarray], rows: Sequence[Sequence[int]]) -> np.ndarray:
    """How well each text matches each image, `[R B]`."""
    chunks = [pixels[first : first + CHUNK] for first in range(0, len(pixels), CHUNK)]
    if not model.can(PairScorer):
        images = torch.cat([model.encode(some).pooled for some in chunks])
        scores: np.ndarray = (model.vectors_of(rows) @ images.T).cpu().numpy()
        return scores
    embedded = joined([model.system.embed_images(_images(model, some)) for some in chunks])
    scored = list[Tensor]()
    for place, ids in enumerate(rows):
        scored.append(pair_scores(model.system, [ids], embedded)[0])
        report(f"scoring pairs by {model.name}", place + 1, len(rows))
    return torch.stack(scored).numpy()


@torch.inference_mode()
def _milliseconds(part: Callable[[], Any]) -> float:
    part()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        part()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)
