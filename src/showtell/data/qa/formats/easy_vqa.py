"""easy-VQA as its author writes it: a list of [question, answer, image number]. Source: Zhou 2019."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from showtell.data.captions.entry import Problem
from showtell.data.captions.records import read_json
from showtell.data.qa.examples import ImageQuestion
from showtell.data.qa.images import ImageRows

LOOKED_FOR = "easy-VQA's questions.json, a list of [question, answer, image number], beside images/"
_BEGINNING = re.compile(rb'\s*\[\s*\[\s*"[^"]*"\s*,\s*"[^"]*"\s*,\s*\d+\s*\]')


def fits(file: Path) -> bool:
    """Whether a file begins so."""
    if file.suffix.lower() != ".json":
        return False
    try:
        with file.open("rb") as opened:
            return bool(_BEGINNING.match(opened.read(4096)))
    except OSError:
        return False


def read(file: Path, problems: list[Problem]) -> Iterator[ImageQuestion]:
    """The questions of a file."""
    value, rows = read_json(file, problems), ImageRows(file, problems)
    for number, one in enumerate(value if isinstance(value, list) else ()):
        question, answer, image = one if isinstance(one, list) and len(one) == 3 else (None, None, None)
        names = [] if image is None else [image]
        found = rows.example(None, f"[{number}]", names, question, [answer])
        if found is not None:
            yield found
