"""Lines of a file, compressed or not: what is broken becomes a problem, the rest is read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from showtell.data.captions.entry import Problem
from showtell.data.texts.files import lines
from showtell.errors import UserError


def named_jsonl(file: Path) -> bool:
    """Whether a file is called `.jsonl`, compressed or not."""
    return file.name.lower().removesuffix(".xz").removesuffix(".gz").endswith(".jsonl")


def text_lines(file: Path, problems: list[Problem]) -> Iterator[tuple[int, str]]:
    """Numbered lines, up to the first that cannot be decoded."""
    try:
        yield from lines(file)
    except UserError as error:
        what = str(error).removeprefix(str(file)).lstrip(", :")
        problems.append(Problem(file, None, what, "the rest of the file is not read", unread=True))


def json_lines(file: Path, problems: list[Problem]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Numbered objects of JSON Lines."""
    for number, line in text_lines(file, problems):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.append(Problem(file, number, f"is not valid JSON: {error}", "correct it there"))
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            problems.append(Problem(file, number, "is not a JSON object", 'write {"name": value, ...}'))
