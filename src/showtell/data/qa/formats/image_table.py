"""Questions about images in a table: CSV, TSV, JSON or JSON Lines, one row per question.

easy-VQA (Zhou 2019) is often written so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from showtell.data.captions.entry import Problem
from showtell.data.captions.records import header, records
from showtell.data.qa.examples import ImageQuestion
from showtell.data.qa.images import ImageRows
from showtell.data.splits import split_of_row

LOOKED_FOR = ".csv, .tsv, .json or .jsonl with the columns image (or images: two of them), question, answer"
IMAGES = ("images", "image", "image_path", "file_name", "filename")
ANSWERS = ("answers", "answer", "label")
_JSON = (re.compile(rb'"question"\s*:'), re.compile(rb'"(images?|image_path|file_?name)"\s*:'))


def fits(file: Path) -> bool:
    """Whether the columns of a file are those of questions about images."""
    suffix = file.suffix.lower()
    if suffix not in (".csv", ".tsv", ".json", ".jsonl"):
        return False
    try:
        if suffix == ".json":  # which may be large, and other formats are JSON too
            with file.open("rb") as opened:
                start = opened.read(4096)
            return start.lstrip().startswith(b"[") and all(column.search(start) for column in _JSON)
        names = header(file) or []
    except OSError:
        return False
    return "question" in names and any(name in names for name in IMAGES)


def read(file: Path, problems: list[Problem]) -> Iterator[ImageQuestion | None]:
    """The questions of a file; None for one whose answer is left empty in a file that has the column."""
    rows = ImageRows(file, problems)
    for line, row in records(file, problems):
        images, answers = _first(row, IMAGES), _first(row, ANSWERS)
        if answers in (None, "", []) and any(name in row for name in ANSWERS):
            yield None
            continue
        found = rows.example(line, "", _many(images), row.get("question"), _many(answers), split_of_row(row))
        if found is not None:
            yield found


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def _many(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list) else [value]
