"""Validation of texts before a long run: what a run would read of them, and how it would divide it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from showtell.data.captions.read import known_formats
from showtell.data.captions.tables import IMAGE
from showtell.data.labels.texts import LABEL, TEXT, labelled_files, read_labelled
from showtell.data.qa.rows import named_jsonl
from showtell.data.texts.files import lines, record_of, text_files
from showtell.datasets.texts import read_texts
from showtell.errors import UserError

LOOKED_FOR = (
    'texts: .txt, or .jsonl of {"text"}; labelled ones: .jsonl or .tsv of text or sentence, and label'
)


@dataclass(frozen=True)
class TextsReport:
    """The contents of a data set of texts, which holds no problem: a run would stop at the first."""

    path: Path
    format: str
    """`texts` or `labelled texts`."""
    splits: dict[str, int]
    """The number of texts to train on, and of those held out."""
    classes: tuple[str, ...]
    """Names of the classes, sorted; none of texts without labels."""
    empty: int
    """The number of blank labelled texts, which are dropped."""


def check_texts(path: Path) -> TextsReport | None:
    """Read all texts of a file or folder as a run does; None for what is no data set of texts.

    Raises `UserError` for texts that no run could read, with file and line.
    """
    try:
        files = labelled_files(path)
        labelled = bool(files) and all(map(_is_labelled, files.values()))
        if not labelled and not all(map(_is_text, text_files(path))):
            return None
    except UserError:
        return None  # what cannot be parsed is named where captions were looked for
    if labelled:
        found = read_labelled(path)
        counts = Counter("held out" if item.held_out else "train" for item in found.items)
        return TextsReport(path, "labelled texts", dict(counts), found.names, found.empty)
    texts = read_texts(path)
    splits = {"train": len(texts.training), "held out": len(texts.validation)}
    return TextsReport(path, "texts", splits, (), 0)


def _is_labelled(file: Path) -> bool:
    heads = _heads(file)
    return LABEL in heads and not heads.isdisjoint(TEXT) and heads.isdisjoint(IMAGE.split())


def _is_text(file: Path) -> bool:
    """Whether a file holds texts, not the captions of images."""
    if named_jsonl(file):
        heads = _heads(file)
        return TEXT[0] in heads and heads.isdisjoint(IMAGE.split())
    return not any(one.files(file) for one in known_formats().values())


def _heads(file: Path) -> set[str]:
    """The names of the columns of a file, or of the fields of its first record."""
    number, line = next(lines(file), (0, ""))
    return {*record_of(line, file, number)} if line.startswith("{") else {*line.lower().split("\t")}
