"""The records of a JSON or JSON Lines file, with the lines where they begin."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from showtell.data.captions.entry import Problem
from showtell.data.captions.records import read_text

_DECODER = json.JSONDecoder(strict=False)
"""Accepts line breaks within strings, which people write."""
_NEXT = re.compile(r"\n\s*(?=\{)")
"""Before the next record of JSON Lines."""


def json_records(file: Path, problems: list[Problem]) -> Iterator[tuple[int, Any]]:
    """Line and value of each record: of a list, of JSON Lines, or of one object.

    A line of JSON Lines that is no JSON is a problem; in a list, what follows it cannot be read either.
    """
    before = len(problems)
    text = read_text(file, problems)
    if len(problems) > before:  # what is not UTF-8 would be read as something else
        return
    at = _blank(text, 0)
    if at == len(text):
        problems.append(Problem(file, None, "is empty", 'write [{"messages": [...]}]'))
    elif text[at] == "[":
        yield from _listed(text, at + 1, file, problems)
    else:
        yield from _following(text, at, file, problems)


def _listed(text: str, at: int, file: Path, problems: list[Problem]) -> Iterator[tuple[int, Any]]:
    line, counted = 1, 0
    while True:
        at = _blank(text, at)
        line, counted = line + text.count("\n", counted, at), at
        if at == len(text):
            problems.append(Problem(file, line, "the list is never closed", "write ] at its end"))
            return
        if text[at] == "]":
            if _blank(text, at + 1) < len(text):
                problems.append(
                    Problem(file, line, "something follows the list", "delete it, or put it inside")
                )
            return
        try:
            value, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            problems.append(_no_json(file, text, at, error))
            return
        yield line, value
        at = _blank(text, at)
        if text[at : at + 1] == ",":
            at += 1
        elif at < len(text) and text[at] != "]":
            here = line + text.count("\n", counted, at)
            problems.append(Problem(file, here, "no comma between two records", "write one"))
            return


def _following(text: str, at: int, file: Path, problems: list[Problem]) -> Iterator[tuple[int, Any]]:
    """Values one after another: one per line, or of several lines each."""
    line, counted = 1, 0
    while at < len(text):
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, at = _DECODER.raw_decode(text, at)
            yield line, value
        except (ValueError, RecursionError) as error:
            problems.append(_no_json(file, text, at, error))
            found = _NEXT.search(text, at)
            at = found.end() if found else len(text)
        at = _blank(text, at)


def _no_json(file: Path, text: str, at: int, error: Exception) -> Problem:
    if isinstance(error, json.JSONDecodeError):
        return Problem(
            file, error.lineno, f"is no JSON at column {error.colno}: {error.msg}", "correct it there"
        )
    line = text.count("\n", 0, at) + 1
    if isinstance(error, RecursionError):
        return Problem(file, line, "is nested too deeply", "flatten it")
    return Problem(file, line, f"is no JSON that can be read: {error}", "correct it there")


def _blank(text: str, at: int) -> int:
    """The first character from `at` on that is no white space."""
    while at < len(text) and text[at].isspace():
        at += 1
    return at
