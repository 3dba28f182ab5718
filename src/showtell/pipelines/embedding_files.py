"""Files of embeddings, written as they come, whole or not at all: `.npy` for NumPy, `.parquet` for tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from showtell.errors import UsageError, UserError
from showtell.pipelines.embed import Embedding
from showtell.writing import replacing, writing

ROWS = 1024
"""Vectors per row group of a Parquet file."""
ROWS_ENDING = ".rows.jsonl"
"""Not `.jsonl` alone: `texts.jsonl` embedded to `texts.npy` must not be overwritten."""


@dataclass(frozen=True)
class SavedEmbeddings:
    """A file of embeddings."""

    output: str
    rows: str
    """The file that names the rows: `output` itself, or the `.rows.jsonl` beside a `.npy`."""
    count: int
    width: int
    cut: int
    """Texts of which the model did not read the end."""


def require_ending(output: Path) -> None:
    """Raises `UsageError` for a file whose name ends in no format, and for a folder."""
    if output.suffix.lower() not in formats():
        raise UsageError(f"{output} must end in {' or '.join(formats())}")
    if output.is_dir():
        raise UsageError(f"{output} is a folder; name a file")


def save_embeddings(embeddings: Iterator[Embedding], output: Path | str) -> SavedEmbeddings:
    """Write embeddings as they come.

    `vectors.npy` holds `float32 [N D]`, and `vectors.rows.jsonl` beside it a line per row, `{"path": ...}` or
    `{"text": ...}`. `vectors.parquet` has the columns `path` or `text`, and `vector`.

    Raises `UsageError` for another ending, `UserError` where there is nothing to write or no room.
    """
    output = Path(output)
    require_ending(output)
    write = formats()[output.suffix.lower()]
    first = next(embeddings, None)
    if first is None:
        raise UserError(f"nothing was embedded, and {output} was not written")
    cut = 0

    def counted() -> Iterator[Embedding]:
        nonlocal cut
        for one in chain([first], embeddings):
            cut += one.cut > 0
            yield one

    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        rows, count = write(output, counted(), len(first.vector))
    return SavedEmbeddings(str(output), str(rows), count, len(first.vector), cut)


def formats() -> dict[str, Callable[[Path, Iterator[Embedding], int], tuple[Path, int]]]:
    """How each ending is written."""
    return {".npy": _write_npy, ".parquet": _write_parquet}


def _write_npy(output: Path, embeddings: Iterator[Embedding], width: int) -> tuple[Path, int]:
    names, count = output.with_suffix(ROWS_ENDING), 0
    with replacing(names) as rows:
        with replacing(output) as file:
            _write_header(file, 0, width)
            begin = file.tell()
            for one in embeddings:
                file.write(one.vector.astype("<f4").tobytes())
                count += 1
                source = json.dumps(one.source, ensure_ascii=False)
                rows.write(source.encode("utf-8", "backslashreplace") + b"\n")
            file.seek(0)
            _write_header(file, count, width)  # the format leaves room for the number of rows to grow
            assert file.tell() == begin
        names.unlink(missing_ok=True)  # those of older vectors: killed here, none is better than another's
    return names, count


def _write_header(file: object, count: int, width: int) -> None:
    facts = {"descr": "<f4", "fortran_order": False, "shape": (count, width)}
    np.lib.format.write_array_header_1_0(file, facts)  # type: ignore[arg-type]


def _write_parquet(output: Path, embeddings: Iterator[Embedding], width: int) -> tuple[Path, int]:
    first = next(embeddings)
    (column,) = first.source
    schema = pa.schema([pa.field(column, pa.string()), pa.field("vector", pa.list_(pa.float32(), width))])
    embeddings, count = chain([first], embeddings), 0
    with replacing(output) as file, parquet.ParquetWriter(file, schema) as writer:
        while some := list(islice(embeddings, ROWS)):
            # A path that is not UTF-8 keeps its bytes as escapes.
            names = [one.source[column].encode("utf-8", "backslashreplace").decode() for one in some]
            flat = pa.array(np.concatenate([one.vector for one in some]))
            vectors = pa.FixedSizeListArray.from_arrays(flat, width)
            writer.write_table(pa.table([pa.array(names), vectors], schema=schema))
            count += len(some)
    return output, count
