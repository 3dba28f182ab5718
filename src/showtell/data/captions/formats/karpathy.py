"""Karpathy's `dataset_*.json`: Flickr8k, Flickr30k and COCO with the splits that papers use.

Source: Karpathy & Fei-Fei 2015, "Deep visual-semantic alignments for generating image descriptions".
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from showtell.data.captions.entry import Source
from showtell.data.captions.gather import Gather
from showtell.data.captions.locate import Locator
from showtell.data.captions.records import read_json

SPECIFICITY = 60
LOOKED_FOR = 'a .json of {"images": [{"filename", "split", "sentences": [{"raw"}]}]}'


def files(path: Path) -> list[Path]:
    """The file itself, or those of a folder that have `sentences` near their start."""
    found = [path] if path.is_file() else sorted(path.glob("*.json"))
    return [file for file in found if file.suffix.lower() == ".json" and _is_karpathy(file)]


def read(root: Path, files: list[Path]) -> Source:
    """Every image with its raw sentences; `restval` counts as `train`."""
    gather = Gather()
    for file in files:
        value = read_json(file, gather.problems)
        images = value.get("images") if isinstance(value, dict) else None
        locate = Locator(file)
        for number, image in enumerate(images if isinstance(images, list) else ()):
            if isinstance(image, dict):
                gather.add_named(file, None, locate, _name(image), _captions(image), image.get("split"))
            else:
                gather.problem(file, None, f"images[{number}] is not an object", "delete it")
    return gather.source("karpathy")


def _is_karpathy(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            start = opened.read(65536)
    except OSError:
        return True  # reading it reports why
    return re.search(rb'"sentences"\s*:', start) is not None and b'"images"' in start


def _name(image: dict[str, Any]) -> object:
    """The image's name; COCO's are in the folder that `filepath` names."""
    folder, name = image.get("filepath"), image.get("filename")
    return f"{folder}/{name}" if isinstance(folder, str) and folder and isinstance(name, str) else name


def _captions(image: dict[str, Any]) -> list[object]:
    sentences = image.get("sentences")
    return [
        sentence.get("raw") if isinstance(sentence, dict) else sentence
        for sentence in (sentences if isinstance(sentences, list) else ())
    ]
