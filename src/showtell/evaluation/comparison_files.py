"""A comparison of models as JSON, as a table in Markdown and in HTML, and as bars of their milliseconds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from showtell.evaluation.compare import Comparison
from showtell.html.bars import draw_bars
from showtell.html.page import write_page
from showtell.writing import write_file

NAMES = ("model", "parameters, M", "GFLOPs", "text, ms", "image, ms", "fusion, ms")
RECALLS = ("recall1", "recall5", "recall10")


def rows_of(found: Sequence[Comparison]) -> tuple[list[str], list[list[object]]]:
    """The headings and a row per model, numbers rounded for people."""
    headings = [*NAMES]
    for direction in ("caption finds image", "image finds caption"):
        headings += [f"{direction}, R@{name.removeprefix('recall')}" for name in RECALLS]
    headings += ["questions answered right"]
    rows = [
        [
            one.model,
            round(one.parameters / 1e6, 2),
            round(one.flops / 1e9, 3),
            *(round(one.milliseconds[part], 3) for part in ("text", "image", "fusion")),
            *(_rounded(one.text_to_image, name) for name in RECALLS),
            *(_rounded(one.image_to_text, name) for name in RECALLS),
            _rounded(one.answers, "accuracy"),
        ]
        for one in found
    ]
    asked = [place for place, _ in enumerate(headings) if any(row[place] != "" for row in rows)]
    return [headings[place] for place in asked], [[row[place] for place in asked] for row in rows]


def _rounded(figures: Mapping[str, float], name: str) -> float | str:
    """A figure for people; empty where a model has none."""
    return round(figures[name], 3) if name in figures else ""


def conditions(found: Sequence[Comparison]) -> str:
    """On what the figures were measured."""
    said = ["One image and one text at a time."]
    said += {
        f"Recall among {one.images} images, the first caption of each." for one in found if one.text_to_image
    }
    said += {f"Answers to {one.questions} questions." for one in found if one.answers}
    return " ".join(said)


def write_comparison(folder: Path, found: Sequence[Comparison]) -> list[Path]:
    """Write `compare.json`, `.md`, `.png` and `.html` into a folder; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    headings, rows = rows_of(found)
    lines: list[list[object]] = [[*headings], ["---"] * len(headings), *rows]
    table = "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
    said = conditions(found)
    bars = draw_bars(
        "Milliseconds per image and text",
        [f"{one.system} {one.model.partition('@')[0]}" for one in found],
        [one.milliseconds for one in found],
        "ms",
    )
    files = {
        "compare.json": json.dumps([asdict(one) for one in found], indent=1).encode(),
        "compare.md": f"{table}\n\n{said}\n".encode(),
        "compare.png": bars,
    }
    for name, content in files.items():
        write_file(folder / name, content)
    page = folder / "compare.html"
    figures = list(zip(headings, zip(*rows, strict=True), strict=True))
    write_page(page, "comparison", title="Models side by side", said=said, figures=figures, bars=bars)
    return [*(folder / name for name in files), page]
