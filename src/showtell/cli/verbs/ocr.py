"""`showtell ocr`."""

from __future__ import annotations

from typing import Annotated

import typer

from showtell.cli.input import Failures, paths
from showtell.cli.options import DEFAULT_MAX_PIXELS, Images, Json, MaxPixels
from showtell.cli.output import print_error, print_json, print_text
from showtell.wording import counted, one_line

PANEL = "Images"


def ocr(
    files: Images,
    min_confidence: Annotated[
        float, typer.Option(min=0, max=1, help="Leave out lines that are read with less confidence.")
    ] = 0.5,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    json: Json = False,
) -> None:
    """Read the printed text in images, Chinese or English, line by line.

    With --json each line has its four corners in pixels, and its confidence. A file that cannot be read is
    named on standard error; the others are still read, and the exit status is 1.
    """
    from showtell.pipelines.ocr import ocr

    failures, unsure = Failures(), 0
    for image in ocr(paths(files), min_confidence=min_confidence, max_pixels=max_pixels, skip=failures):
        unsure += image.unsure
        if json:
            print_json(image)
            continue
        print_text(one_line(image.path))
        for line in image.lines:
            print_text(f"  {line.text}  ({line.confidence:.2f})")
        if not image.lines:
            print_text("  no text found")
    if unsure:
        print_error(
            f"left out, confidence below {min_confidence:g}: {counted(unsure, 'line')}; see --min-confidence"
        )
    failures.exit()
