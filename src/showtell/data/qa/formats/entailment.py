"""Pairs of sentences as MNLI and SNLI write them: JSON Lines.

Source: Bowman et al. 2015; Williams et al. 2018.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from showtell.data.captions.entry import Problem
from showtell.data.qa.examples import Pair
from showtell.data.qa.rows import json_lines, named_jsonl

LOOKED_FOR = 'JSON Lines of {"premise", "hypothesis", "label"}, or "sentence1", "sentence2", "gold_label"'
FIRST, SECOND, LABEL = ("premise", "sentence1"), ("hypothesis", "sentence2"), ("label", "gold_label")
IMAGE = "Flickr30K_ID"
NO_LABEL = "-"
"""What SNLI writes where its annotators disagreed."""


def fits(file: Path) -> bool:
    """Whether a line is a pair of sentences, and of nothing else."""
    if not named_jsonl(file):
        return False
    row = next((row for _, row in json_lines(file, [])), {})
    pair = any(name in row for name in FIRST) and any(name in row for name in SECOND)
    return pair and IMAGE not in row  # SNLI-VE's, whose premise is an image


def read(file: Path, problems: list[Problem]) -> Iterator[Pair | None]:
    """The pairs of a file; None for one that has no label by intention."""
    for line, row in json_lines(file, problems):
        first, second, label = (
            next((row[name] for name in names if row.get(name) is not None), None)
            for names in (FIRST, SECOND, LABEL)
        )
        for name, value in (("premise", first), ("hypothesis", second)):
            if not isinstance(value, str) or not value.strip():
                problems.append(Problem(file, line, f"has no {name}", "write its text, or delete the line"))
                break
        else:
            if not isinstance(label, str | int) or isinstance(label, bool) or label == "":
                problems.append(Problem(file, line, "has no label", f"write one, or {NO_LABEL!r} to skip it"))
            else:
                found = Pair(str(first).strip(), str(second).strip(), str(label))
                yield None if label == NO_LABEL else found
