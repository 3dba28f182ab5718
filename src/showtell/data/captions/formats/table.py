"""CSV, TSV, JSON, JSON Lines and Parquet, one row per caption or image, whatever the columns are called."""

from __future__ import annotations

from pathlib import Path

from showtell.data.captions.candidates import in_subfolders, is_sidecar, sidecar_bases
from showtell.data.captions.entry import Source
from showtell.data.captions.tables import gather_tables, is_table
from showtell.data.splits import split_of_file

SPECIFICITY = 20
LOOKED_FOR = (
    "a .csv, .tsv, .jsonl, .json or .parquet whose columns name an image (image, file_name, filepath) and a "
    "caption (caption, text, title), or a .csv of two columns without a header"
)
ENDINGS = (".csv", ".tsv", ".jsonl", ".json", ".parquet")


def files(path: Path) -> list[Path]:
    """The table itself, or every table of a folder, or else of the folders in it (`train/captions.jsonl`)."""
    if path.is_file():
        ending = path.suffix.lower()
        return [path] if ending in ENDINGS and (ending != ".json" or is_table(path)) else []
    bases = sidecar_bases(path)
    here = [file for file in sorted(path.iterdir()) if _may_be(file) and not is_sidecar(file, bases)]
    return list(filter(is_table, here)) or list(filter(is_table, in_subfolders(path, ENDINGS)))


def read(root: Path, files: list[Path]) -> Source:
    """Every row of the tables; the rows of `train.csv` or `val.tsv` are in that split."""
    return gather_tables(files, lambda file: split_of_file(file, root)).source("table")


def _may_be(file: Path) -> bool:
    return file.suffix.lower() in ENDINGS and not file.name.startswith(".") and file.is_file()
