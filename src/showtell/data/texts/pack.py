"""Examples of different lengths as one batch: padded, or packed several to a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from showtell.data.batch import Batch, Targets, TextBatch
from showtell.data.texts.corpus import Example


def stack(examples: Sequence[Example], padding: int) -> Batch:
    """One example per row, `[R L]`, padded to the longest."""
    return _batch([[example] for example in examples], padding)


def pack(examples: Sequence[Example], length: int, padding: int) -> Batch:
    """Several examples per row of at most `length` tokens, which saves most of the padding.

    `sequences` numbers the texts of a row from 0, `positions` restarts in each text, `groups` runs on through
    the row, and `follows` has one entry per text, row by row.

    Raises `ValueError` for a text longer than a row.
    """
    rows = [[examples[i] for i in row] for row in first_fit([len(e.ids) for e in examples], length)]
    sequences = _pad([[np.full(len(e.ids), n) for n, e in enumerate(row)] for row in rows])
    positions = _pad([[np.arange(len(e.ids)) for e in row] for row in rows])
    batch = _batch(rows, padding)
    return replace(batch, texts=replace(batch.texts, sequences=sequences, positions=positions))


def _batch(rows: Sequence[Sequence[Example]], padding: int) -> Batch:
    groups = []
    for row in rows:
        words = np.cumsum([0, *(example.groups[-1] + 1 for example in row)])
        groups.append([example.groups + before for example, before in zip(row, words[:-1], strict=True)])
    segments = [[e.segments for e in row if e.segments is not None] for row in rows]
    follows = [e.follows for row in rows for e in row if e.follows is not None]
    return Batch(
        texts=TextBatch(
            _pad([[e.ids for e in row] for row in rows], padding),
            _pad([[np.ones(len(e.ids), bool) for e in row] for row in rows]),
            segments=_pad(segments) if any(segments) else None,
            groups=_pad(groups),
        ),
        targets=Targets(follows=torch.tensor(follows) if follows else None),
    )


def first_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """First-fit decreasing: the texts of each row, the longest placed first, each in the first row with room.

    Uses at most 11/9 of the minimum number of rows, plus one (Johnson 1973).

    >>> first_fit([2, 5, 3, 4, 1], 6)
    [[1, 4], [3, 0], [2]]
    """
    rows: list[list[int]] = []
    room: list[int] = []
    for text in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if lengths[text] > capacity:
            raise ValueError(f"a text of {lengths[text]} tokens is longer than a row of {capacity}")
        row = next((n for n, left in enumerate(room) if left >= lengths[text]), len(rows))
        if row == len(rows):
            rows.append([])
            room.append(capacity)
        rows[row].append(text)
        room[row] -= lengths[text]
    return rows


def _pad(rows: Sequence[Sequence[np.ndarray]], padding: int = 0) -> Tensor:
    """Rows joined from their parts and padded, `[R L]`."""
    joined = [np.concatenate(row) for row in rows]
    padded = np.full((len(joined), max(map(len, joined))), padding, joined[0].dtype)
    for row, values in enumerate(joined):
        padded[row, : len(values)] = values
    return torch.from_numpy(padded)
