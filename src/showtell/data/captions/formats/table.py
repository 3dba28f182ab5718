"""CSV, TSV, JSON Lines and Parquet with a header, one row per caption."""

from __future__ import annotations

from pathlib import Path

from showtell.data.captions.entry import Source
from showtell.data.captions.tables import gather_tables, is_table
from showtell.data.splits import split_of_file

SPECIFICITY = 20
LOOKED_FOR = "a .csv or .tsv whose header names an image (image, file_name) and a caption (caption, text)"
_ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet")


def files(path: Path) -> list[Path]:
    """The table itself, or every table of a folder whose header names images and captions."""
    if path.is_file():
        return [path] if path.suffix.lower() in _ENDINGS else []
    return [
        file
        for file in sorted(path.iterdir())
        if file.suffix.lower() in (".csv", ".tsv") and file.is_file() and is_table(file)
    ]


def read(root: Path, files: list[Path]) -> Source:
    """Every row of the tables; the rows of `train.csv` or `val.tsv` are in that split."""
    return gather_tables(files, lambda file: split_of_file(file, root)).source("table")
