"""One frozen value that every system reads: images, words, and which belongs to which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """`B` images and `R` texts. A field that a source does not have is None."""

    pixels: Tensor | None = None
    """`uint8 [B 3 H W]`, prepared but not normalised."""
    grid: Tensor | None = None
    """`[B N D]`, features of a frozen backbone, in place of pixels."""
    views: Tensor | None = None
    """`float32 [V B 3 S S]` in 0..1, `V` augmented views of each image, not normalised."""
    ids: Tensor | None = None
    """`int64 [R L]`, words, with start and end."""
    keep: Tensor | None = None
    """`bool [R L]`, True where a word is real."""
    owner: Tensor | None = None
    """`int64 [R]`, the image that each text describes."""
    segments: Tensor | None = None
    """`int64 [R L]`, 0 for the words of a first sentence, 1 for those of a second."""
    sequences: Tensor | None = None
    """`int64 [R L]`, which text of its row a word belongs to, where several are packed into one row."""
    positions: Tensor | None = None
    """`int64 [R L]`, a word's place in its own text, counted from 0; None where a row is one text."""
    groups: Tensor | None = None
    """`int64 [R L]`, the same number for the pieces of one word, counted from 0 in each row."""
    follows: Tensor | None = None
    """`bool [R]`, True where the second sentence follows the first; of packed rows, an answer a text."""
    labels: Tensor | None = None
    """`int64 [B]`, the class of each image."""

    def __len__(self) -> int:
        """Images, or texts where there are no images."""
        for name, axis in IMAGES.items():
            if (tensor := getattr(self, name)) is not None:
                return tensor.shape[axis]
        return 0 if self.ids is None else len(self.ids)

    def part(self, index: int, parts: int) -> Batch:
        """Part `index` of `parts` about equal ones: consecutive images with their texts, or texts alone.

        Raises `ValueError` when there are fewer items than parts.
        """
        if len(self) < parts:
            raise ValueError(f"a batch of {len(self)} cannot be divided into {parts} parts")
        first, last = (len(self) * i // parts for i in (index, index + 1))
        here: slice | Tensor = slice(first, last)
        if self.owner is not None:
            here = (self.owner >= first) & (self.owner < last)
        out = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, tensor in out.items():
            if tensor is None:
                continue
            if name in IMAGES:
                out[name] = tensor.narrow(IMAGES[name], first, last - first)
            elif name == "follows" and self.positions is not None and self.keep is not None:
                row = ((self.positions == 0) & self.keep).nonzero()[:, 0]
                out[name] = tensor[(row >= first) & (row < last)]
            else:
                out[name] = tensor[here] - first if name == "owner" else tensor[here]
        return Batch(**out)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        moved = {f.name: getattr(self, f.name) for f in fields(self)}
        return Batch(**{k: None if v is None else v.to(device) for k, v in moved.items()})


IMAGES = {"pixels": 0, "grid": 0, "views": 1, "labels": 0}
"""The fields that have an entry an image, and on which axis; the others have one a text, on the first."""


def pad(sequences: Sequence[Sequence[int]], padding: int = 0) -> tuple[Tensor, Tensor]:
    """Rows of different lengths as `ids [R L]` and `keep [R L]`, L the longest of them.

    >>> ids, keep = pad([[5, 6, 7], [8]])
    >>> ids.tolist(), keep.tolist()
    ([[5, 6, 7], [8, 0, 0]], [[True, True, True], [True, False, False]])
    """
    length = max(map(len, sequences), default=0)
    ids = torch.full((len(sequences), length), padding, dtype=torch.int64)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.as_tensor(sequence, dtype=torch.int64)
    lengths = torch.tensor([len(s) for s in sequences], dtype=torch.int64)
    return ids, torch.arange(length)[None] < lengths[:, None]
