"""A comparison of models as JSON, as a Markdown table and as bars of their milliseconds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from showtell.evaluation.compare import Comparison
from showtell.html.bars import draw_bars
from showtell.writing import write_file

NAMES = ("model", "parameters, M", "GFLOPs", "text, ms", "image, ms", "fusion, ms")
RECALLS = ("recall1", "recall5", "recall10")


def rows_of(found: Sequence[Comparison]) -> tuple[list[str], list[list[object]]]:
    """The headings and a row per model, numbers rounded for people."""
    headings = [*NAMES]
    for direction in ("caption finds image", "image finds caption"):
        headings += [f"{direction}, R@{name.removeprefix('recall')}" for name in RECALLS]
    rows = [
        [
            one.model,
            round(one.parameters / 1e6, 2),
            round(one.flops / 1e9, 3),
            *(round(one.milliseconds[part], 3) for part in ("text", "image", "fusion")),
            *(round(one.text_to_image[name], 3) for name in RECALLS),
            *(round(one.image_to_text[name], 3) for name in RECALLS),
        ]
        for one in found
    ]
    return headings, rows


def write_comparison(folder: Path, found: Sequence[Comparison]) -> list[Path]:
    """Write `compare.json`, `compare.md` and `compare.png` into a folder; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    headings, rows = rows_of(found)
    lines: list[list[object]] = [[*headings], ["---"] * len(headings), *rows]
    table = "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
    count = found[0].images
    said = f"One image and one text at a time; recall among {count} images, the first caption of each."
    files = {
        "compare.json": json.dumps([asdict(one) for one in found], indent=1).encode(),
        "compare.md": f"{table}\n\n{said}\n".encode(),
        "compare.png": draw_bars(
            "Milliseconds per image and text",
            [f"{one.system} {one.model.partition('@')[0]}" for one in found],
            [one.milliseconds for one in found],
            "ms",
        ),
    }
    for name, content in files.items():
        write_file(folder / name, content)
    return [folder / name for name in files]
