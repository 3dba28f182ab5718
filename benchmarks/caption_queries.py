"""A split of captioned images, whose first captions are the queries of a benchmark."""

from __future__ import annotations

import argparse
from pathlib import Path

from showtell.data.captions.entry import Entry
from showtell.data.captions.read import read_captions
from showtell.datasets.captions import divide


def parsed(description: str) -> tuple[list[Entry], int]:
    """The images and captions that `--data` and `--split` name, and how many of them `--queries` searches."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--queries", type=int, default=200)
    options = parser.parse_args()
    return divide(read_captions(options.data).entries)[options.split], options.queries
