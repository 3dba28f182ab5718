"""Labelled texts, from JSON Lines or tab-separated files."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from showtell.data.splits import sibling_splits, split_name, split_of_row
from showtell.data.texts.files import lines, plain, record_of
from showtell.errors import UserError
from showtell.wording import counted

logger = logging.getLogger(__name__)

ENDINGS = (".jsonl", ".tsv")
TEXT, LABEL = ("text", "sentence"), "label"
ONE_IN = 5
"""Of a single file, one text in so many is held out."""


@dataclass(frozen=True)
class LabelledText:
    """A text with its class."""

    text: str
    label: str
    held_out: bool
    """Whether it is for testing rather than training."""


@dataclass(frozen=True)
class LabelledTexts:
    """All texts of a data set."""

    names: tuple[str, ...]
    """Names of the classes, sorted."""
    items: list[LabelledText]
    empty: int
    """The number of blank texts, which are dropped."""


def labelled_files(path: Path) -> dict[str, Path]:
    """The files of labelled texts by split: `train` and others, or `""` for a single file, or nothing.

    In a folder `train`, and `test`, `dev` or the like, each `.jsonl` or `.tsv`, `.xz` and `.gz` too. A name
    may say more (`imdb_train`, `imdb_test`), and a single file may have any, if its first row is a labelled
    text.

    Raises `UserError` for two files of one split.
    """
    if path.is_file():
        return {"": path} if _stem(path) is not None else {}
    listed = sorted(path.iterdir()) if path.is_dir() else []
    stems = {file: stem for file in listed if (stem := _stem(file)) is not None and file.is_file()}
    named = sibling_splits(stems.values())
    splits = {file: split_name(stem) or named.get(stem, (None,))[0] for file, stem in stems.items()}
    found: dict[str, Path] = {}
    for file, split in splits.items():
        if split is None or (split_name(stems[file]) is None and not _begins_labelled(file)):
            continue
        if split in found:
            raise UserError(f"{found[split]} and {file} are both the split {split}; remove one")
        found[split] = file
    if len(stems) == 1 and not found and _begins_labelled(only := next(iter(stems))):
        return {"": only}
    return found if "train" in found else {}


def _begins_labelled(file: Path) -> bool:
    """Whether the first row of a file is a labelled text."""
    try:
        return next(_rows(file), None) is not None
    except UserError:
        return False


def read_labelled(path: Path) -> LabelledTexts:
    """Read the files that `labelled_files` finds; `test` is held out, or else `val` or `dev`.

    A `.jsonl` file has `text` (or `sentence`) and `label` in each line; a `.tsv` file has columns of these
    names. Of a single file its column `split` counts; without one, one text in five is held out, by a hash.

    Raises `UserError` with file and line for rows that cannot be read, and for data with fewer than two
    classes to train on or without a test text.
    """
    files = labelled_files(path)
    test_split = next((split for split in ("test", "val") if split in files), "")
    rows, empty = [], 0
    for split in ["train", test_split] if "train" in files else [""]:
        for text, label, named in _rows(files[split]) if split in files else ():
            if split and named and named != split:
                raise UserError(f"{files[split]}: its name says {split}, a row {named}; correct one of them")
            if text:
                rows.append((text, label, split or named))
            else:
                empty += 1
    splits = {split for _, _, split in rows}
    tested = next((split for split in ("test", "val") if split in splits), None)
    items = [
        LabelledText(text, label, _chosen(text) if tested is None else split == tested)
        for text, label, split in rows
        if split in ("train", "", None, tested)
    ]
    if len(items) < len(rows):
        logger.info(
            "%s of the split val not used: test is for testing", counted(len(rows) - len(items), "text")
        )
    if len({item.label for item in items if not item.held_out}) < 2:
        raise UserError(f"{path}: the training texts have fewer than two labels")
    if not any(item.held_out for item in items):
        raise UserError(f"{path} has no test texts; add a file called test.jsonl or test.tsv")
    return LabelledTexts(tuple(sorted({item.label for item in items})), items, empty)


def _stem(file: Path) -> str | None:
    """The name without its extension; None for another extension."""
    name = file.name.removesuffix(".xz").removesuffix(".gz")
    return next((name.removesuffix(ending) for ending in ENDINGS if name.endswith(ending)), None)


def _rows(file: Path) -> Iterator[tuple[str, str, str | None]]:
    read = _records if ".jsonl" in file.suffixes else _table
    for number, values in read(file):
        text = next((values[name] for name in TEXT if name in values), None)
        label = values.get(LABEL)
        if not isinstance(text, str) or not isinstance(label, str | int) or label == "":
            raise UserError(f"{file}, line {number}: has no {' or '.join(TEXT)}, or no {LABEL}")
        yield plain(text), str(label), split_of_row(values)


def _records(file: Path) -> Iterator[tuple[int, dict[str, object]]]:
    for number, line in lines(file):
        if line.strip():
            yield number, record_of(line, file, number)


def _table(file: Path) -> Iterator[tuple[int, dict[str, object]]]:
    names: list[str] = []
    for number, line in lines(file):
        cells = line.split("\t")
        if not names:
            names = [cell.strip().lower() for cell in cells]
        elif len(cells) == len(names):
            yield number, dict(zip(names, (cell.strip() for cell in cells), strict=True))
        elif line.strip():
            raise UserError(
                f"{file}, line {number}: has {len(cells)} columns, the first line has {len(names)}"
            )


def _chosen(text: str) -> bool:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[0] % ONE_IN == 0
