"""Printed text found and read in scanned receipts whose lines are annotated (SROIE).

    python benchmarks/ocr.py --data sroie [--images 40] [--seed 0]

A line is found when boxes cover at least half of its annotated box. It is read at its annotated box, and
again from what was found: the texts of the boxes whose middle lies in it, from left to right. The error rate
is the edit distance over the number of characters, regardless of case and spaces, since the annotations are
in capitals and the recogniser drops spaces; and once with spaces.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np

from showtell.data.images.decode import load_image
from showtell.pipelines.ocr import TextLine, TextReader
from table import command, table


def edits(found: str, truth: str) -> int:
    """Levenshtein's distance."""
    row = list(range(len(truth) + 1))
    for i, a in enumerate(found, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(truth, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


class Errors:
    """Edits and characters of several lines, without spaces and with them."""

    def __init__(self) -> None:
        self.lines = 0
        self.sums = np.zeros((2, 2))

    def add(self, found: str, truth: str) -> None:
        """One line."""
        self.lines += 1
        for i, clean in enumerate(
            (lambda t: "".join(t.upper().split()), lambda t: " ".join(t.upper().split()))
        ):
            self.sums[i] += edits(clean(found), clean(truth)), len(clean(truth))

    def row(self) -> list[object]:
        """The lines and both rates."""
        return [self.lines, *(f"{edited / max(total, 1):.3f}" for edited, total in self.sums)]


def covered(box: np.ndarray, found: np.ndarray) -> float:
    """The share of an upright box that others cover, by their upright hulls."""
    low, high = box.min(0), box.max(0)
    sides = np.minimum(found.max(1), high) - np.maximum(found.min(1), low)
    return float(sides.clip(0).prod(1).sum() / max((high - low).prod(), 1))


def joined(box: np.ndarray, lines: list[TextLine]) -> str:
    """The text of the lines whose middle lies in a box, from left to right."""
    middles = [(np.mean(line.box, axis=0), line.text) for line in lines]
    inside = [(m[0], text) for m, text in middles if (m >= box.min(0)).all() and (m <= box.max(0)).all()]
    return " ".join(text for _, text in sorted(inside))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="a folder with sroie.json and images/")
    parser.add_argument("--images", type=int, default=40, help="how many to sample")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    command()
    receipts = json.loads((options.data / "sroie.json").read_text("utf-8"))
    receipts = random.Random(options.seed).sample(receipts, min(options.images, len(receipts)))
    reader, at_boxes, end_to_end = TextReader(), Errors(), Errors()
    total = found = boxes_found = 0
    finding = reading = 0.0
    for receipt in receipts:
        pixels = load_image(options.data / "images" / f"{receipt['id']}.jpg")
        scale = pixels.shape[1] / receipt["orig_size"][0]
        start = time.perf_counter()
        boxes = reader.find(pixels)
        middle = time.perf_counter()
        lines = reader.read(pixels, boxes)
        finding += middle - start
        reading += time.perf_counter() - middle
        boxes_found += len(boxes)
        for annotated in receipt["lines"]:
            box = np.array(annotated["box"], np.float64).reshape(4, 2) * scale
            there = reader.read(pixels, box[None])
            at_boxes.add(there[0].text if there else "", annotated["text"])
            total += 1
            if covered(box, boxes) < 0.5:
                continue
            found += 1
            if text := joined(box, lines):
                end_to_end.add(text, annotated["text"])
    print(
        f"{len(receipts)} receipts, {total} annotated lines, {boxes_found} boxes found, seed {options.seed}\n"
    )
    table(["annotated lines that are found", "share"], [[found, f"{found / total:.3f}"]])
    table(
        ["lines read", "lines", "character errors", "with spaces"],
        [["at annotated boxes", *at_boxes.row()], ["from what was found", *end_to_end.row()]],
    )
    table(
        ["seconds to find the lines of an image", "milliseconds to read a line"],
        [[f"{finding / len(receipts):.2f}", f"{1000 * reading / max(boxes_found, 1):.1f}"]],
    )


if __name__ == "__main__":
    main()
