"""GQA: a JSON object of questions by their ids. Source: Hudson and Manning 2019."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from showtell.data.captions.entry import Problem
from showtell.data.captions.records import read_json
from showtell.data.qa.examples import ImageQuestion
from showtell.data.qa.images import ImageRows

LOOKED_FOR = 'GQA\'s *_questions.json of {"id": {"imageId", "question", "answer"}}, the images in images/'
_BEGINNING = re.compile(rb'\s*\{\s*"[^"]*"\s*:\s*\{')


def fits(file: Path) -> bool:
    """Whether a file begins as GQA does."""
    if file.suffix.lower() != ".json":
        return False
    try:
        with file.open("rb") as opened:
            start = opened.read(8192)
    except OSError:
        return False
    return bool(_BEGINNING.match(start)) and b'"imageId"' in start and b'"question"' in start


def read(file: Path, problems: list[Problem]) -> Iterator[ImageQuestion | None]:
    """The questions of a file; None for one without an answer, as those of the challenge are."""
    value, rows = read_json(file, problems), ImageRows(file, problems)
    split = "test" if file.name.startswith("testdev") else None
    for name, one in value.items() if isinstance(value, dict) else ():
        asked = one if isinstance(one, dict) else {}
        answer, image = asked.get("answer"), asked.get("imageId")
        if asked and answer is None:
            yield None
            continue
        names = [] if image is None else [image]
        found = rows.example(None, f"{name!r}", names, asked.get("question"), [answer], split)
        if found is not None:
            yield found
