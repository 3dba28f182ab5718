"""A folder of images, with or without captions beside `a.jpg`: `a.txt`, `a.caption` or `a.json`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from showtell.data.captions.candidates import SIDECARS
from showtell.data.captions.entry import Problem, Source
from showtell.data.captions.gather import Gather
from showtell.data.captions.records import read_json, read_text
from showtell.data.captions.tables import caption_values
from showtell.data.images.files import survey

SPECIFICITY = 10
LOOKED_FOR = (
    "images at any depth, each with its captions in a .txt, .caption or .json of the same name, or with none"
)


def files(path: Path) -> list[Path]:
    """Every image under a folder."""
    return survey(path).images if path.is_dir() else []


def read(root: Path, files: list[Path]) -> Source:
    """Every image, with one caption per line of its `.txt` or `.caption`, and those of its `.json`."""
    gather, unused = Gather(), list[Problem]()
    left: dict[Path, dict[tuple[str, str], str]] = {}
    described: set[Path] = set()
    for image in files:
        folder = image.parent
        if folder not in left:
            left[folder] = _sidecars(folder)
        gather.add(image, None, image, (), None)
        known: set[str] = set()
        for ending in SIDECARS:
            for base in (image.stem, image.name):
                name = left[folder].pop((base, ending), None)
                if name and ending == ".json":
                    unused += _add_object(gather, folder / name, image, known)
                elif name:
                    described.add(folder)
                    _add_lines(gather, folder / name, image, known)
    for folder in sorted(described):
        for file in sorted(folder / name for (_, ending), name in left[folder].items() if ending != ".json"):
            gather.problem(file, None, "has no image of its name", "add the image, or move the file away")
    return replace(gather.source("folder"), unused=unused)


def _sidecars(folder: Path) -> dict[tuple[str, str], str]:
    """The possible sidecars of a folder, by their name without its ending, and the ending in lower case."""
    try:
        names = [path for path in folder.iterdir() if path.suffix.lower() in SIDECARS]
    except OSError:
        return {}
    return {(path.stem, path.suffix.lower()): path.name for path in names}


def _add_lines(gather: Gather, file: Path, image: Path, known: set[str]) -> None:
    lines = read_text(file, gather.problems).split("\n")
    if not any(map(str.strip, lines)):
        gather.problem(file, None, "is empty", "write a caption in it, or delete it")
    for line, text in enumerate(lines, 1):
        if text.strip():
            gather.add(file, line, image, [text], None)
            known.add(" ".join(text.split()))


def _add_object(gather: Gather, file: Path, image: Path, known: set[str]) -> list[Problem]:
    """Add the captions of an object that are not known; a description of the file that has none is unused."""
    before = len(gather.problems)
    value = read_json(file, gather.problems)
    found = (
        caption_values(value) if isinstance(value, dict) else value if isinstance(value, list) else [value]
    )
    captions = [text for text in found if isinstance(text, str) and text.strip() and text != image.name]
    gather.add(file, None, image, [text for text in captions if " ".join(text.split()) not in known], None)
    if captions or len(gather.problems) > before:
        return []
    keys = (
        ", ".join(json.dumps(key, ensure_ascii=False) for key in list(value)[:3])
        if isinstance(value, dict)
        else ""
    )
    what = f"holds no caption (its keys: {keys}, ...)" if keys else "holds no caption"
    return [Problem(file, None, what, 'write {"caption": ...} if it should')]
