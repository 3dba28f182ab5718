"""Verification of a library, without changing it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from showtell.data.images.decode import ImageError
from showtell.data.images.files import read_content
from showtell.data.prefetch import prefetch
from showtell.errors import UserError
from showtell.library.failures import reading
from showtell.library.manifest import VectorSet
from showtell.library.rows import vectors_of
from showtell.library.store import Store, indexed_columns
from showtell.library.text import index_error


@dataclass(frozen=True)
class Problem:
    """Something wrong with an image's row, or with the library itself."""

    path: Path
    """The image, or the library's folder."""
    what: str


def verify(library_dir: Path | str) -> list[Problem]:
    """Check the rows of all sets, and compare them with their files, which are read again.

    `index` with the set's model repairs changed and missing files, and the full-text index;
    `index(rebuild=True)` repairs everything else.

    Returns an empty list if all is well. Raises `UserError` if the folder is not a library, or a table cannot
    be read.
    """
    store = Store.open(library_dir)
    problems: set[Problem] = set()
    contents: defaultdict[str, set[bytes]] = defaultdict(set)
    for known in store.manifest().sets:
        try:
            problems |= _wrong_set(store, known, contents)
        except UserError as error:
            raise UserError(f"the vectors of {known.name}: {error}") from error
    problems |= _wrong_files(contents)
    return sorted(problems, key=lambda problem: (problem.path, problem.what))


def _wrong_set(store: Store, known: VectorSet, contents: defaultdict[str, set[bytes]]) -> set[Problem]:
    """The problems within a set; adds the digest of each file to `contents`."""
    table = store.table(known)
    if table is None:
        return set()
    names = ["path", "hash", "vector", "num_tokens", "tokens", "thumbnail", "model", "preprocessing"]
    paths: list[str] = []
    problems: set[Problem] = set()
    with reading(store.folder):
        for batch in table.search().select(names).to_batches(batch_size=256):
            rows = pa.Table.from_batches([batch])
            paths += rows["path"].to_pylist()
            for path, digest in zip(rows["path"].to_pylist(), rows["hash"].to_pylist(), strict=True):
                contents[path].add(digest)
            problems |= _wrong_rows(rows, known)
        if "text" in indexed_columns(table) and (error := index_error(table)):
            first_line = str(error).partition("\n")[0]
            problems.add(Problem(store.folder, f"its full-text index is damaged ({first_line})"))
    return problems | {Problem(Path(p), f"has {n} rows") for p, n in Counter(paths).items() if n > 1}


def _wrong_rows(rows: pa.Table, known: VectorSet) -> set[Problem]:
    found = set()
    finite = np.isfinite(vectors_of(rows)).all(1)
    for i, row in enumerate(rows.drop_columns(["vector"]).to_pylist()):
        tokens, maker = row["tokens"], (row["model"], row["preprocessing"])
        whats = {
            "its vector is not finite": not finite[i],
            "its tokens are not finite": tokens is not None
            and not np.isfinite(np.frombuffer(tokens, "f2")).all(),
            "its tokens have a wrong size": tokens is not None and len(tokens) % (2 * row["num_tokens"]) != 0,
            "its thumbnail is not a JPEG": not row["thumbnail"].startswith(b"\xff\xd8\xff"),
            "another model made its vector": maker != (known.model, known.preprocessing),
        }
        found |= {Problem(Path(row["path"]), what) for what, wrong in whats.items() if wrong}
    return found


def _wrong_files(contents: Mapping[str, set[bytes]]) -> set[Problem]:
    """The problems of the files; each is read once, even if in several sets."""

    def look(path: str) -> str | bytes:
        try:
            return read_content(Path(path))[1]
        except ImageError as error:
            return error.reason

    found = set()
    for path, now in zip(contents, prefetch(look, contents), strict=True):
        if isinstance(now, str):
            found.add(Problem(Path(path), f"its file {now}"))
        elif contents[path] != {now}:
            found.add(Problem(Path(path), "its file has changed since it was indexed"))
    return found
