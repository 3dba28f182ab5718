"""COCO captions, such as `captions_train2014.json`.

Source: Chen et al. 2015, "Microsoft COCO captions: data collection and evaluation server".
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from showtell.data.captions.entry import Source
from showtell.data.captions.gather import Gather
from showtell.data.captions.locate import Locator
from showtell.data.captions.records import read_json
from showtell.data.captions.tables import caption_values
from showtell.data.splits import split_of_file

SPECIFICITY = 50
LOOKED_FOR = 'captions_*.json of {"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}'


def files(path: Path) -> list[Path]:
    """The file itself, or those of a folder and its `annotations/`.

    Files of boxes and key points start the same way and are large: if any file is called `captions*`, only
    such files are read.
    """
    if path.is_file():
        found = [path] if path.suffix.lower() == ".json" else []
    else:
        found = sorted((*path.glob("*.json"), *path.glob("annotations/*.json")))
        found = [file for file in found if file.name.startswith("captions")] or found
    return [file for file in found if _is_coco(file)]


def read(root: Path, files: list[Path]) -> Source:
    """Every image with its captions; the split is part of the file's name."""
    gather = Gather()
    for file in files:
        value = read_json(file, gather.problems)
        images, annotations = _list(value, "images"), _list(value, "annotations")
        captions: dict[Any, list[object]] = {}
        for number, annotation in enumerate(annotations):
            if not isinstance(annotation, dict) or not isinstance(annotation.get("image_id"), int | str):
                gather.problem(file, None, f"annotations[{number}] has no image_id", "add it or delete it")
            else:
                captions.setdefault(annotation["image_id"], []).append(annotation.get("caption"))
        locate, split = Locator(file), split_of_file(file, root)
        for number, image in enumerate(images):
            if isinstance(image, dict) and isinstance(image.get("id"), int | str):
                texts = captions.pop(image["id"], None) or caption_values(image)
                gather.add_named(file, None, locate, image.get("file_name"), texts, split)
            elif isinstance(image, dict) and not annotations and caption_values(image):
                gather.add_named(
                    file,
                    None,
                    locate,
                    image.get("file_name"),
                    caption_values(image),
                    image.get("split") or split,
                )
            else:
                gather.problem(file, None, f"images[{number}] has no id", "add it or delete it")
        for unknown in captions:
            fix = "add the image to images or delete the annotation"
            gather.problem(file, None, f"a caption has the image_id {unknown!r}, which no image has", fix)
    return gather.source("coco")


def _is_coco(file: Path) -> bool:
    """Whether a file begins with images or annotations, in either order."""
    try:
        with file.open("rb") as opened:
            start = opened.read(65536)
    except OSError:
        return True  # reading it reports why
    return re.search(rb'"(images|annotations)"\s*:', start) is not None and (
        b'"file_name"' in start or b'"image_id"' in start
    )


def _list(value: Any, key: str) -> list[Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []
