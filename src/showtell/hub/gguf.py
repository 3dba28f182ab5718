"""A GGUF file: settings and tensors in one, as llama.cpp keeps language models.

    "GGUF" | version | counts | settings (name, type, value) | table (name, shape, type, place) | tensors

Source: the specification, github.com/ggml-org/ggml/blob/master/docs/gguf.md; blocks of numbers as in
`ggml-common.h` there.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from showtell.errors import UserError

MAGIC, VERSION = b"GGUF", 3
SCALARS = dict(zip(range(8), ("u1", "i1", "<u2", "<i2", "<u4", "<i4", "<f4", "?"), strict=True))
SCALARS |= {10: "<u8", 11: "<i8", 12: "<f8"}
TEXT, ARRAY = 8, 9


@dataclass(frozen=True)
class GGUF:
    """The content of a file."""

    settings: dict[str, Any]
    """By name: numbers, texts, and lists of either."""
    tensors: dict[str, Tensor]
    """By name, as float32."""


@dataclass(frozen=True)
class _Kind:
    """How numbers are stored: so many to a block, its layout, and what a block's numbers are."""

    numbers: int
    layout: np.dtype
    floats: Callable[[np.ndarray, np.ndarray], Any]
    """From blocks `[N]` into `float32 [N numbers]`."""


def _plain(blocks: np.ndarray, out: np.ndarray) -> None:
    out[:, 0] = blocks


def _q4_1(blocks: np.ndarray, out: np.ndarray) -> None:
    """`d q + m`, q of 4 bits: the first 16 of a block in the lower halves of its bytes."""
    out[:, :16] = blocks["q"] & 15
    out[:, 16:] = blocks["q"] >> 4
    out *= blocks["d"].astype(np.float32)[:, None]
    out += blocks["m"].astype(np.float32)[:, None]


def _q8_0(blocks: np.ndarray, out: np.ndarray) -> None:
    """`d q`, q of 8 bits."""
    np.multiply(blocks["q"], blocks["d"].astype(np.float32)[:, None], out=out)


KINDS = {
    0: _Kind(1, np.dtype("<f4"), _plain),
    1: _Kind(1, np.dtype("<f2"), _plain),
    3: _Kind(32, np.dtype([("d", "<f2"), ("m", "<f2"), ("q", "u1", 16)]), _q4_1),
    8: _Kind(32, np.dtype([("d", "<f2"), ("q", "i1", 32)]), _q8_0),
}


def read_gguf(path: Path) -> GGUF:
    """All settings and tensors of a file; numbers in float32, float16, Q4_1 and Q8_0.

    Raises `UserError` for a file that is no GGUF file of version 3, ends too early, or holds other numbers.
    """
    try:
        data = path.read_bytes()
        if data[:4] != MAGIC:
            raise ValueError("it is no GGUF file")
        return _Reader(data).read()
    except (OSError, ValueError, TypeError, ArithmeticError, RuntimeError, struct.error) as error:
        raise UserError(f"{path} cannot be read: {error}. Install its package again.") from error


class _Reader:
    """Reads a file from its start to its end."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, len(MAGIC)

    def read(self) -> GGUF:
        if (version := self.number("<u4")) != VERSION:
            raise ValueError(f"it has version {version} of GGUF, not {VERSION}")
        tensors, pairs = self.number("<u8"), self.number("<u8")
        settings = {self.text(): self.value(self.number("<u4")) for _ in range(pairs)}
        table = [self.entry() for _ in range(tensors)]
        aligned = settings.get("general.alignment", 32)
        start = -(-self.at // aligned) * aligned
        return GGUF(settings, {entry[0]: self.tensor(*entry, start) for entry in table})

    def numbers(self, dtype: str, count: int) -> np.ndarray:
        found = np.frombuffer(self.data, dtype, count, self.at)
        self.at += found.nbytes
        return found

    def number(self, dtype: str) -> Any:
        return self.numbers(dtype, 1)[0].item()

    def text(self) -> str:
        (size,) = struct.unpack_from("<Q", self.data, self.at)
        start = self.at + 8
        if (end := start + size) > len(self.data):
            raise ValueError("it ends within a text")
        self.at = end
        return self.data[start:end].decode()

    def value(self, kind: int) -> Any:
        if kind == TEXT:
            return self.text()
        if kind != ARRAY:
            return self.number(_known(SCALARS, kind, "settings"))
        inner, count = self.number("<u4"), self.number("<u8")
        if inner in (TEXT, ARRAY):
            one = self.text if inner == TEXT else partial(self.value, inner)
            return [one() for _ in range(count)]
        return self.numbers(_known(SCALARS, inner, "settings"), count).tolist()

    def entry(self) -> tuple[str, tuple[int, ...], int, int]:
        """Name, shape, kind and place of a tensor; the fastest axis comes first in the file."""
        name = self.text()
        shape = tuple(self.numbers("<u8", self.number("<u4")).tolist())[::-1]
        return name, shape, self.number("<u4"), self.number("<u8")

    def tensor(self, name: str, shape: tuple[int, ...], kind: int, place: int, start: int) -> Tensor:
        stored = _known(KINDS, kind, f"numbers in {name}")
        blocks = np.frombuffer(self.data, stored.layout, prod(shape) // stored.numbers, start + place)
        out = np.empty((len(blocks), stored.numbers), np.float32)
        stored.floats(blocks, out)
        return torch.from_numpy(out).view(shape)


def _known(kinds: dict[int, Any], kind: int, what: str) -> Any:
    if kind not in kinds:
        raise ValueError(f"it has {what} of type {kind}, and types {', '.join(map(str, kinds))} are read")
    return kinds[kind]
