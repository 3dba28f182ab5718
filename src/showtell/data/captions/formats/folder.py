"""A folder of images, with or without `a.txt` beside `a.jpg`, one caption per line."""

from __future__ import annotations

from pathlib import Path

from showtell.data.captions.entry import Source
from showtell.data.captions.gather import Gather
from showtell.data.captions.records import read_text
from showtell.data.images.files import survey

SPECIFICITY = 10
LOOKED_FOR = "images at any depth, each with its captions in a .txt of the same name, or with none"


def files(path: Path) -> list[Path]:
    """Every image under a folder."""
    return survey(path).images if path.is_dir() else []


def read(root: Path, files: list[Path]) -> Source:
    """Every image."""
    gather = Gather()
    unused: dict[Path, set[str]] = {}
    described: set[Path] = set()
    for image in files:
        folder = image.parent
        if folder not in unused:
            unused[folder] = {path.name for path in folder.iterdir() if path.suffix.lower() == ".txt"}
        gather.add(image, None, image, (), None)
        for name in {f"{image.stem}.txt", f"{image.name}.txt"} & unused[folder]:
            unused[folder].discard(name)
            described.add(folder)
            _add_captions(gather, folder / name, image)
    for file in sorted(folder / name for folder in described for name in unused[folder]):
        gather.problem(file, None, "has no image of its name", "add the image, or move the file away")
    return gather.source("folder")


def _add_captions(gather: Gather, file: Path, image: Path) -> None:
    lines = read_text(file, gather.problems).split("\n")
    if not any(map(str.strip, lines)):
        gather.problem(file, None, "is empty", "write a caption in it, or delete it")
    for line, text in enumerate(lines, 1):
        if text.strip():
            gather.add(file, line, image, [text], None)
