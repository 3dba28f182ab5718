"""The table of a library: its columns, and conversion from and to encoded images."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from showtell.data.tokenizers.scripts import spaced
from showtell.library.sight import Sight, Tag
from showtell.protocols import Encoded

SIGHT = pa.schema(
    [
        # The backbone's classes, best first; null where nobody looked.
        pa.field("tags", pa.list_(pa.struct({"label": pa.string(), "probability": pa.float32()}))),
        pa.field("familiarity", pa.float32()),
    ]
)
"""The columns of what images show; a table of an older showtell has none."""


def schema(width: int) -> pa.Schema:
    """The columns, for vectors of `width` numbers. One row per image file."""
    return pa.schema(
        [
            pa.field("id", pa.int64(), nullable=False),  # random, never reused
            pa.field("path", pa.string(), nullable=False),  # absolute
            pa.field("size", pa.int64(), nullable=False),  # bytes
            pa.field("mtime_ns", pa.int64(), nullable=False),
            pa.field("hash", pa.binary(), nullable=False),  # SHA-256 of the file
            pa.field("width", pa.int32(), nullable=False),  # pixels, upright
            pa.field("height", pa.int32(), nullable=False),
            pa.field("thumbnail", pa.binary(), nullable=False),  # JPEG
            pa.field("captions", pa.list_(pa.string()), nullable=False),  # the person's own
            pa.field("caption", pa.string()),  # the model's, null before captioning
            pa.field("text", pa.string(), nullable=False),  # all captions, `spaced` for full-text search
            pa.field("vector", pa.list_(pa.float32(), width), nullable=False),  # as the model returned it
            pa.field("num_tokens", pa.int32(), nullable=False),
            pa.field("tokens", pa.binary()),  # float16 [N D], null if the vector is the only token
            pa.field("model", pa.string(), nullable=False),
            pa.field("preprocessing", pa.string(), nullable=False),
            *SIGHT,
        ]
    )


@dataclass(frozen=True)
class File:
    """An image file, not yet read."""

    path: Path
    size: int
    mtime_ns: int
    captions: tuple[str, ...] = ()
    """The person's own."""


@dataclass(frozen=True)
class Content:
    """The content of an image file."""

    digest: bytes
    prepared: np.ndarray
    """`uint8 [S S 3]`."""
    thumbnail: bytes
    width: int
    height: int


def new_rows(
    files: Sequence[File],
    contents: Sequence[Content],
    encoded: Encoded,
    captions: Sequence[str | None],
    sights: Sequence[Sight] | None = None,
    **maker: str,
) -> pa.Table:
    """One row per file, from newly encoded images; `maker` holds the model and the preprocessing."""
    pooled = encoded.pooled.numpy().astype(np.float32)
    tokens = encoded.tokens.numpy().astype(np.float16)
    num_tokens = tokens.shape[1]
    seen: Sequence[Sight | None] = sights or [None] * len(files)
    columns = {
        **_file_columns(files, captions),
        "hash": [c.digest for c in contents],
        "width": [c.width for c in contents],
        "height": [c.height for c in contents],
        "thumbnail": [c.thumbnail for c in contents],
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(pooled.reshape(-1)), pooled.shape[1]),
        "num_tokens": [num_tokens] * len(files),
        "tokens": [t.tobytes() if num_tokens > 1 else None for t in tokens],
        **{name: [value] * len(files) for name, value in maker.items()},
        "tags": [[asdict(tag) for tag in one.tags] if one else None for one in seen],
        "familiarity": [one.familiarity if one else None for one in seen],
    }
    fields = schema(pooled.shape[1])
    return pa.table({name: columns[name] for name in fields.names}, schema=fields)


def moved_rows(rows: pa.Table, files: Sequence[File], captions: Sequence[str | None]) -> pa.Table:
    """Rows for files with known content: `rows[i]` is reused for `files[i]`."""
    for name, values in _file_columns(files, captions).items():
        field = rows.schema.field(name)
        rows = rows.set_column(rows.schema.get_field_index(name), field, pa.array(values, field.type))
    return rows


def encoded_of(rows: pa.Table) -> Encoded:
    """The encoded images in rows, `tokens [B N D]` and `pooled [B D]`, float32."""
    pooled = torch.from_numpy(vectors_of(rows).copy())
    if not len(rows) or rows["tokens"].null_count:
        return Encoded(pooled[:, None], pooled)
    tokens = np.frombuffer(b"".join(rows["tokens"].to_pylist()), np.float16)
    shape = (len(rows), rows["num_tokens"][0].as_py(), -1)
    return Encoded(torch.from_numpy(tokens.reshape(shape).astype(np.float32)), pooled)


def finite_rows(encoded: Encoded) -> np.ndarray:
    """Which images can be stored: `bool [B]`, False if a number is not finite or too large for float16."""
    # In NumPy, as torch's threads would contend with those that decode.
    pooled, tokens = encoded.pooled.numpy(), encoded.tokens.numpy()
    return np.isfinite(pooled).all(1) & (np.abs(tokens) < np.finfo(np.float16).max).all((1, 2))


def vectors_of(rows: pa.Table) -> np.ndarray:
    """The vectors in rows, `float32 [M D]`."""
    column = rows["vector"].combine_chunks()
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(rows), column.type.list_size)


def sights_of(rows: pa.Table) -> list[Sight | None]:
    """What the images in rows show; None where it is not stored."""
    both = zip(rows["tags"].to_pylist(), rows["familiarity"].to_pylist(), strict=True)
    return [None if tags is None else Sight([Tag(**tag) for tag in tags], near) for tags, near in both]


def search_text(captions: Sequence[str], caption: str | None) -> str:
    """What full-text search reads of an image: the person's captions and the model's."""
    return spaced("\n".join([*captions, *filter(None, [caption])]))


def where_id(ids: Iterable[int]) -> str:
    """The SQL condition that selects rows by id."""
    return f"id IN ({', '.join(map(str, ids))})"


def _file_columns(files: Sequence[File], captions: Sequence[str | None]) -> dict[str, list[Any]]:
    return {
        "id": [secrets.randbits(63) for _ in files],
        "path": [str(f.path) for f in files],
        "size": [f.size for f in files],
        "mtime_ns": [f.mtime_ns for f in files],
        "captions": [list(f.captions) for f in files],
        "caption": list(captions),
        "text": [search_text(f.captions, c) for f, c in zip(files, captions, strict=True)],
    }
