"""Masks that somebody wrote into a line, in another font and size: how often a reader takes them for masks.

    python benchmarks/masks_by_hand.py RUN --data TEXTS [--count 100]

RUN is the output of `showtell train vlp_mini --data TEXTS`. Of the first six words of held-out texts the
fourth is replaced by `[MASK]`. `size` is that of the mask over that of the words; `errors elsewhere` is the
character error rate of the other words; `unsure` the share of readings that `showtell read` says it of.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from showtell.data.images.render.draw import draw
from showtell.data.images.render.fonts import Font, fonts
from showtell.data.images.render.style import Style
from showtell.datasets.rendered_texts import divide_fonts
from showtell.datasets.texts import read_texts
from showtell.pipelines.model import load_model
from showtell.pipelines.read import read
from showtell.tasks.metrics import edit_distance
from table import command, table

SIZES = (0.6, 0.7, 0.8, 1.0, 1.2, 1.4, 1.7)
PIXELS_PER_EM = 20
WORDS, PLACE = 6, 3


def written(words: list[str], font: Font, other: Font, size: float) -> np.ndarray:
    """A line of grey pixels whose word at `PLACE` is a mask, all of its parts halfway down."""
    style = Style(font, PIXELS_PER_EM)
    mask = draw("[MASK]", Style(other, PIXELS_PER_EM * size), None).pixels
    before, after = (draw(" ".join(some), style, None).pixels for some in (words[:PLACE], words[PLACE + 1 :]))
    height = max(part.shape[0] for part in (before, mask, after))
    parts = []
    for part in (before, mask, after):
        above = (height - part.shape[0]) // 2
        rows = (above, height - part.shape[0] - above)
        parts.append(np.pad(part, (rows, (0, 0)), constant_values=255))
    return np.concatenate(parts, axis=1)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args()
    model, seen = load_model(options.run, "cpu"), divide_fonts(fonts())[0]
    lines = [document.split()[:WORDS] for document in read_texts(options.data).validation]
    lines = [words for words in lines if len(words) == WORDS][: options.count]
    command()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            generator = np.random.default_rng(0)  # the same fonts for every size
            masked, sure, errors, length = [], [], 0, 0
            for words in lines:
                able = [font for font in seen if font.covers(" ".join(words) + "[MASK]")]
                if not able:
                    continue
                font, other = (able[place] for place in generator.integers(len(able), size=2))
                path = Path(folder) / "line.png"
                Image.fromarray(written(words, font, other, size)).save(path)
                (found,) = read(path, model)
                masked.append(any(token.masked for token in found.tokens))
                sure.append(found.sure)
                shown = "".join(token.text for token in found.tokens if not token.masked)
                rest = " ".join(words[:PLACE] + words[PLACE + 1 :])
                errors += edit_distance(" ".join(shown.split()), rest)
                length += len(rest)
            shares = (np.mean(masked), errors / length, 1 - np.mean(sure))
            rows.append([size, *(f"{share:.2f}" for share in shares), len(masked)])
    table(["size", "taken for a mask", "errors elsewhere", "unsure", "lines"], rows)


if __name__ == "__main__":
    main()
