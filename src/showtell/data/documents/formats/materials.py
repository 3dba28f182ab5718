"""JSON Lines of `{"image", "materials": [{"文字材料类别", ...}]}`, the images beside the file."""

from __future__ import annotations

from pathlib import Path

from showtell.data.documents.labelled import Labelled, json_value
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
        found.append(Labelled(file.parent / row["image"], tuple(row["materials"]), row.get("split")))
    return found
