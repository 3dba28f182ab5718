"""Hugging Face's ImageFolder: `metadata.jsonl`, `.csv` or `.parquet` beside the images it names."""

from __future__ import annotations

from pathlib import Path

from showtell.data.captions.entry import Source
from showtell.data.captions.tables import gather_tables
from showtell.data.images.files import is_passed_over
from showtell.data.splits import split_of_file

SPECIFICITY = 30
LOOKED_FOR = "metadata.jsonl, metadata.csv or metadata.parquet with file_name and text, caption or captions"
_NAMES = ("metadata.jsonl", "metadata.csv", "metadata.parquet")


def files(path: Path) -> list[Path]:
    """The metadata file itself, or those of a folder and the folders in it (`train/`), or else two down."""
    if path.is_file():
        return [path] if path.name in _NAMES else []
    near = [file for name in _NAMES for file in sorted((*path.glob(name), *path.glob(f"*/{name}")))]
    found = near or [file for name in _NAMES for file in sorted(path.glob(f"*/*/{name}"))]
    return [file for file in found if not any(map(is_passed_over, file.relative_to(path).parts))]


def read(root: Path, files: list[Path]) -> Source:
    """Every row; names are relative to the metadata file, and a folder called `train` is a split."""
    return gather_tables(files, lambda file: split_of_file(file, root), nearby=False).source("imagefolder")
