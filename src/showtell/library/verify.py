"""Look for everything that could be wrong with a library, changing nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from showtell.data.content import read_content
from showtell.data.image import ImageError
from showtell.data.prefetch import prefetch
from showtell.library.rows import vectors_of
from showtell.library.store import Store, indexed_columns, reading
from showtell.library.text import index_error


@dataclass(frozen=True)
class Problem:
    """Something wrong with the row of one picture, or with the library itself."""

    path: Path
    """The picture, or the library's folder."""
    what: str


def verify(library_dir: Path | str) -> list[Problem]:
    """Compare every row with its file, read again, and with what a row must be; none wrong is `[]`.

    `index` mends files that changed or went, and the full-text index; `index(rebuild=True)` everything else.

    Raises `UserError` when the folder is not a library, or its table cannot be read.
    """
    store = Store.open(library_dir)
    manifest = store.manifest()
    if manifest is None or (table := store.table(manifest.table)) is None:
        return []
    names = ["path", "hash", "vector", "num_tokens", "tokens", "thumbnail", "model", "preprocessing"]
    paths: list[str] = []
    problems: list[Problem] = []
    with reading(store.folder):
        for batch in table.search().select(names).to_batches(batch_size=256):
            rows = pa.Table.from_batches([batch])
            paths += rows["path"].to_pylist()
            problems += _wrong_rows(rows, manifest.model, manifest.preprocessing)
            problems += _wrong_files(rows)
        if "text" in indexed_columns(table) and (error := index_error(table)):
            first_line = str(error).partition("\n")[0]
            problems.append(Problem(store.folder, f"its full-text index is damaged ({first_line})"))
    problems += [Problem(Path(p), f"has {n} rows") for p, n in Counter(paths).items() if n > 1]
    return sorted(problems, key=lambda problem: problem.path)


def _wrong_rows(rows: pa.Table, model: str, preprocessing: str) -> list[Problem]:
    found = []
    finite = np.isfinite(vectors_of(rows)).all(1)
    for i, row in enumerate(rows.drop_columns(["vector"]).to_pylist()):
        tokens = row["tokens"]
        whats = {
            "its vector is not finite": not finite[i],
            "its grid is not finite": tokens is not None
            and not np.isfinite(np.frombuffer(tokens, "f2")).all(),
            "its grid has a wrong size": tokens is not None and len(tokens) % (2 * row["num_tokens"]) != 0,
            "its thumbnail is not a JPEG": not row["thumbnail"].startswith(b"\xff\xd8\xff"),
            "another model made its vector": (row["model"], row["preprocessing"]) != (model, preprocessing),
        }
        found += [Problem(Path(row["path"]), what) for what, wrong in whats.items() if wrong]
    return found


def _wrong_files(rows: pa.Table) -> list[Problem]:
    def look(path: str) -> str | bytes:
        try:
            return read_content(Path(path))[1]
        except ImageError as error:
            return error.reason

    paths = rows["path"].to_pylist()
    found = []
    for path, digest, now in zip(paths, rows["hash"].to_pylist(), prefetch(look, paths), strict=True):
        if isinstance(now, str):
            found.append(Problem(Path(path), f"its file {now}"))
        elif now != digest:
            found.append(Problem(Path(path), "its file has changed since it was indexed"))
    return found
