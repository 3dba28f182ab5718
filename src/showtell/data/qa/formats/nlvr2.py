"""NLVR2: statements about two photographs, true or false. Source: Suhr et al. 2019."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from showtell.data.captions.entry import Problem
from showtell.data.qa.examples import ImageQuestion
from showtell.data.qa.images import ImageRows
from showtell.data.qa.rows import json_lines
from showtell.data.splits import split_of_row

LOOKED_FOR = (
    'NLVR2\'s JSON Lines of {"identifier", "sentence", "label"}, images called *-img0.png and *-img1.png'
)


def fits(file: Path) -> bool:
    """Whether a line is a statement about two images."""
    if file.suffix.lower() not in (".json", ".jsonl"):
        return False
    try:
        with file.open("rb") as opened:
            if b'"sentence"' not in opened.read(4096):
                return False
    except OSError:
        return False
    row: dict[str, Any] = next((row for _, row in json_lines(file, [])), {})
    return {"sentence", "identifier", "label"} <= row.keys() and not {"image", "structured_rep"} & row.keys()


def read(file: Path, problems: list[Problem]) -> Iterator[ImageQuestion]:
    """The statements of a file; the class is `true` or `false`. One image without the other is a problem."""
    rows = ImageRows(file, problems)
    for line, row in json_lines(file, problems):
        stem = str(row.get("identifier") or "").rpartition("-")[0]
        names = [f"{stem}-img{place}" for place in (0, 1)] if stem else []
        folder = row.get("directory")
        spelt = [[f"{folder}/{name}.png", f"{name}.png"] for name in names]
        label = row.get("label")
        said = [] if label is None else [str(label).strip().lower()]
        found = rows.example(line, "", names, row.get("sentence"), said, split_of_row(row), "sentence", spelt)
        if found is not None:
            yield found
