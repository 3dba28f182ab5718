"""NLVR: statements about a drawn image of three boxes, true or false. Source: Suhr et al. 2017."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from showtell.data.captions.entry import Problem
from showtell.data.qa.examples import ImageQuestion
from showtell.data.qa.images import ImageRows
from showtell.data.qa.rows import json_lines
from showtell.data.splits import split_of_row

LOOKED_FOR = 'JSON Lines of {"image", "sentence", "label"}, or NLVR\'s of {"identifier", "directory", ...}'
DRAWN = 6
"""Orders of its boxes in which NLVR draws each statement's image; not all need to be there."""


def fits(file: Path) -> bool:
    """Whether a line is a statement about one drawn image."""
    if file.suffix.lower() not in (".json", ".jsonl"):
        return False
    try:
        with file.open("rb") as opened:
            if not opened.read(64).lstrip().startswith(b"{") or b'"sentence"' not in opened.read(65536):
                return False
    except OSError:
        return False
    row: dict[str, Any] = next((row for _, row in json_lines(file, [])), {})
    own = "structured_rep" in row and "identifier" in row
    return "sentence" in row and "label" in row and ("image" in row or own)


def read(file: Path, problems: list[Problem]) -> Iterator[ImageQuestion]:
    """The statements of a file, each with each of its images; the class is `true` or `false`."""
    rows = ImageRows(file, problems)
    for line, row in json_lines(file, problems):
        label = row.get("label")
        said = [] if label is None else [str(label).strip().lower()]
        text, split, image = row.get("sentence"), split_of_row(row), row.get("image")
        if image is not None or "identifier" not in row:
            names = [] if image is None else [image]
            found = rows.example(line, "", names, text, said, split, "sentence")
            if found is not None:
                yield found
            continue
        drawn = [f"{file.stem}-{row['identifier']}-{order}.png" for order in range(DRAWN)]
        folder = row.get("directory")
        there = [
            name
            for name in drawn
            if any(map(rows.find, (f"{folder}/{name}", f"images/{folder}/{name}", name)))
        ]
        for name in there or drawn[:1]:
            spelt = [[f"{folder}/{name}", f"images/{folder}/{name}"]]
            found = rows.example(line, "", [name], text, said, split, "sentence", spelt)
            if found is not None:
                yield found
