"""JSON Lines of `{"image", "materials": [{"文字材料类别", ...}]}`, the images beside the file.

`"split"` may be there, and `"lines"`, what is printed: `[{"text": ..., "confidence": ..., "box": ...}]`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from showtell.data.documents.labelled import Labelled, json_value
from showtell.data.documents.text_line import TextLine
from showtell.errors import UserError

LOOKED_FOR = (
    'materials.jsonl, lines of {"image", "materials": [{"文字材料类别", ...}], "split"}, beside its images'
)


def file(path: Path) -> Path | None:
    """`materials.jsonl`, or the one in a folder."""
    found = path / "materials.jsonl" if path.is_dir() else path
    return found if found.name == "materials.jsonl" and found.is_file() else None


def read(file: Path) -> list[Labelled]:
    """Each line; `split` may be left out."""
    found = []
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        row = json_value(line, f"{file}:{number}")
        if not (
            isinstance(row, dict)
            and isinstance(row.get("image"), str)
            and isinstance(row.get("materials"), list)
        ):
            raise UserError(f'{file}:{number}: is not {{"image": "...", "materials": [...]}}')
        image = file.parent / row["image"]
        lines = _lines(row["lines"], f"{file}:{number}") if "lines" in row else None
        found.append(Labelled(image, tuple(row["materials"]), row.get("split"), lines))
    return found


def _lines(rows: Any, where: str) -> tuple[TextLine, ...]:
    try:
        lines = tuple(TextLine(**row) for row in rows)
        placed = all(np.shape(np.array(line.box, float)) == (4, 2) for line in lines)
        if placed and all(isinstance(line.text, str) for line in lines):
            return lines
    except (TypeError, ValueError):
        pass
    raise UserError(f'{where}: lines are not [{{"text": "...", "confidence": 1, "box": [4 corners [x, y]]}}]')
