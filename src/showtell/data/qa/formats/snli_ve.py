"""SNLI-VE: whether a photograph of Flickr30k entails a sentence. Source: Xie et al. 2019."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from showtell.data.captions.entry import Problem
from showtell.data.qa.examples import ImageQuestion
from showtell.data.qa.formats.entailment import IMAGE, NO_LABEL
from showtell.data.qa.images import ImageRows
from showtell.data.qa.rows import json_lines, named_jsonl

LOOKED_FOR = f'JSON Lines of {{"{IMAGE}", "sentence2", "gold_label"}}, the images beside it'


def fits(file: Path) -> bool:
    """Whether a line names an image of Flickr30k and a hypothesis."""
    return (
        named_jsonl(file)
        and {IMAGE, "sentence2"} <= next((row for _, row in json_lines(file, [])), {}).keys()
    )


def read(file: Path, problems: list[Problem]) -> Iterator[ImageQuestion | None]:
    """The hypotheses of a file; None for one that its annotators disagreed on."""
    rows = ImageRows(file, problems)
    for line, row in json_lines(file, problems):
        if row.get("gold_label") == NO_LABEL:
            yield None
            continue
        names = [] if row.get(IMAGE) is None else [row[IMAGE]]
        said = [] if row.get("gold_label") is None else [row["gold_label"]]
        found = rows.example(line, "", names, row.get("sentence2"), said, None, "hypothesis")
        if found is not None:
            yield found
