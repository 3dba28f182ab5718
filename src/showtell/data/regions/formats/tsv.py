"""Bottom-up attention's TSV: a line per image, whose boxes and features are base64 of float32.

Source: Anderson et al. 2018, "Bottom-Up and Top-Down Attention"; with objects and attributes between, as
Tan & Bansal 2019, "LXMERT", write it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from showtell.data.captions.entry import Problem
from showtell.data.regions.region import CORNERS, packed

LOOKED_FOR = (
    ".tsv of bottom-up attention: image_id, image_w, image_h, num_boxes, boxes, features (or LXMERT's)"
)
# Where width, height, number of boxes, boxes and features stand, by the number of columns.
COLUMNS = {6: (1, 2, 3, 4, 5), 10: (2, 1, 7, 8, 9)}
BOX = 4 * CORNERS
"""Bytes of a box."""
LONGEST = 2**27
"""Bytes of a line, at most: 100 regions of 2,048 numbers take one megabyte."""


def fits(path: Path) -> bool:
    """Whether the first line of a file is an image with its regions."""
    if path.suffix.lower() != ".tsv" or not path.is_file():
        return False
    try:
        with path.open("rb") as opened:
            _cells(opened.readline(LONGEST))
    except (OSError, ValueError):
        return False
    return True


def index(path: Path, problems: list[Problem]) -> Iterator[tuple[str, int]]:
    """The id of each line and the byte where it begins."""
    with path.open("rb") as opened:
        at, number = 0, 0
        while line := opened.readline(LONGEST):
            number += 1
            if line.count(b"\t") + 1 in COLUMNS:
                yield line.partition(b"\t")[0].decode("utf-8", "replace").strip(), at
            elif line.strip():
                count = line.count(b"\t") + 1
                problems.append(Problem(path, number, f"has {count} columns", "write 6, or LXMERT's 10"))
            at += len(line)


def load(path: Path, place: int) -> np.ndarray:
    """The regions of the line that begins at a byte."""
    with path.open("rb") as opened:
        opened.seek(place)
        width, height, count, boxes, features = _cells(opened.readline(LONGEST))
    number, size = int(count), (float(width), float(height))
    both = [base64.b64decode(cell) for cell in (boxes, features)]
    if number < 1 or len(both[0]) != BOX * number or not both[1] or len(both[1]) % (4 * number):
        sizes = f"{len(both[0])} and {len(both[1])} bytes"
        raise ValueError(f"says {number} boxes and holds {sizes} of boxes and features: it is cut off")
    places, values = (np.frombuffer(one, "<f4").reshape(number, -1) for one in both)
    return packed(values, places, size)


def _cells(line: bytes) -> list[bytes]:
    """Width, height, number of boxes, boxes and features. Raises `ValueError` for another line."""
    cells = line.rstrip(b"\r\n").split(b"\t")
    if len(cells) not in COLUMNS:
        raise ValueError(f"has {len(cells)} columns")
    found = [cells[column] for column in COLUMNS[len(cells)]]
    for number in found[:3]:
        float(number)
    return found
