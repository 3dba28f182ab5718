"""The vectors of captions from a frozen text encoder: computed once, and kept between runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from showtell.data.batch import Batch, TextBatch, pad
from showtell.progress import report
from showtell.writing import replacing

BATCH = 64
"""Captions per forward pass."""


def text_features(
    captions: Sequence[Sequence[Sequence[int]]],
    encode: Callable[[Batch], Tensor],
    encoder_hash: str,
    folder: Path,
    device: str = "cpu",
) -> list[Tensor]:
    """Each image's captions, in ids, as vectors `float32 [captions D]`; equal captions are computed once.

    Kept in `folder` as float16, in a file named after the encoder's hash and the captions.
    """
    rows = sorted({tuple(ids) for some in captions for ids in some}, key=lambda ids: (len(ids), ids))
    digest = hashlib.sha256(f"{encoder_hash} {rows}".encode()).hexdigest()
    file = folder / f"{digest[:16]}.npy"
    if file.is_file():
        vectors = np.load(file)
    else:
        vectors = _computed(rows, encode, device)
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(file) as out:
            np.save(out, vectors)
    place = {ids: row for row, ids in enumerate(rows)}
    return [torch.from_numpy(vectors[[place[tuple(ids)] for ids in some]]).float() for some in captions]


@torch.inference_mode()
def _computed(rows: Sequence[tuple[int, ...]], encode: Callable[[Batch], Tensor], device: str) -> np.ndarray:
    """`float16 [R D]`, rows of like length together."""
    parts = []
    for first in range(0, len(rows), BATCH):
        ids, keep = pad([list(row) for row in rows[first : first + BATCH]])
        parts.append(encode(Batch(texts=TextBatch(ids, keep)).to(device)).half().cpu().numpy())
        report("reading captions", first + len(ids), len(rows))
    return np.concatenate(parts)
