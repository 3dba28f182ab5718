"""What one text with its image costs a model: the time of each part, and floating-point operations."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from showtell.data.batch import Batch, ImageBatch, TextBatch
from showtell.nn.watch import watch_attention
from showtell.pairing import PairAnswerer, PairEncoder, PairScorer
from showtell.pipelines.model import Model

REPEATS = 9
"""Runs that are timed, after one that is not; the median counts."""


def milliseconds(model: Model, pixels: Sequence[np.ndarray], ids: Sequence[int]) -> dict[str, float]:
    """Milliseconds of the text's embedding, the images', and what is left for their fusion."""
    system, text, places = model.system, _texts(model, ids), range(len(pixels))
    if not model.can(PairEncoder):
        with torch.inference_mode():
            image, words = system.image_vectors(image_batch(model, pixels)), system.text_vectors(text)
        return {
            "text": _median(lambda: system.text_vectors(text)),
            "image": _median(lambda: system.image_vectors(image_batch(model, pixels))),
            "fusion": _median(lambda: image @ words.T),
        }
    alone = _median(lambda: system.embed_texts(text.texts))
    embed = _median(
        lambda: [system.embed_images(image_batch(model, [pixels[place]]), place=place) for place in places]
    )
    if model.can(PairScorer):
        with torch.inference_mode():
            embedded = system.embed_images(image_batch(model, pixels))
        both = _median(lambda: system.match(system.pair_vectors(text, embedded)))
        return {"text": alone, "image": embed, "fusion": max(both - alone, 0.0)}  # which embeds the text too
    whole = _median(lambda: system.answer(replace(image_batch(model, pixels), texts=text.texts)))
    return {"text": alone, "image": embed, "fusion": max(whole - alone - embed, 0.0)}


def flops(model: Model, pixels: Sequence[np.ndarray], ids: Sequence[int]) -> int:
    """Of the system, and of its frozen backbone as torch computes it.

    The counter sees no packed layers, no products that torch hands to oneDNN (see `nn/linear.py`) and no
    fused attention: a fresh system in float64, whose attention is watched, has none of them. Of a backbone
    products by oneDNN are not counted.
    """
    fresh: Any = model.system.config.build().double().to(model.device).eval().requires_grad_(False)
    given, text = image_batch(model, pixels), _texts(model, ids)
    shown = {n: t.double() if t.is_floating_point() else t for n, t in given.images.tensors.items()}
    batch = Batch(ImageBatch(**shown), text.texts)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), watch_attention(), counter:
        if model.can(PairScorer):
            fresh.match(fresh.pair_vectors(batch))
        elif model.can(PairAnswerer):
            fresh.answer(batch)
        else:
            fresh.image_vectors(batch)
            fresh.text_vectors(batch)
        if model.image_input and model.image_input.backbone:
            values = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255
            model.image_input.backbone.features(values.to(model.device))
    return counter.get_total_flops()


def _texts(model: Model, ids: Sequence[int]) -> Batch:
    one = torch.tensor([list(ids)], device=model.device)
    return Batch(texts=TextBatch(one, torch.ones_like(one, dtype=torch.bool)))


def image_batch(model: Model, pixels: Sequence[np.ndarray]) -> Batch:
    """Prepared images as the system reads them, through the frozen backbone where there is one."""
    assert model.image_input is not None
    return model.image_input.batch(pixels).to(model.device)


@torch.inference_mode()
def _median(part: Callable[[], Any]) -> float:
    part()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        part()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)
