"""SROIE, scanned receipts: a list of `{"id", "key": {"company", "date", "address", "total"}}` and `images/`.

Source: Huang et al. 2019, "ICDAR2019 Competition on Scanned Receipt OCR and Information Extraction".
"""

from __future__ import annotations

from pathlib import Path

from showtell.data.documents.labelled import Labelled, json_value
from showtell.data.documents.materials import KIND, MATERIALS, RECEIPT
from showtell.errors import UserError

LOOKED_FOR = 'sroie.json, a list of {"id", "key": {"company", "date", "address", "total"}}, beside images/'


def file(path: Path) -> Path | None:
    """`sroie.json`, or the one in a folder."""
    found = path / "sroie.json" if path.is_dir() else path
    return found if found.name == "sroie.json" and found.is_file() else None


def read(file: Path) -> list[Labelled]:
    """Each receipt; a field that it lacks is empty there, and left out here."""
    rows = json_value(file.read_text("utf-8"), str(file))
    found = []
    for number, row in enumerate(rows if isinstance(rows, list) else [None]):
        key = row.get("key") if isinstance(row, dict) else None
        if not isinstance(key, dict) or not isinstance(row.get("id"), str):
            raise UserError(f'{file}: entry {number} is not {{"id": "...", "key": {{...}}}}')
        fields = {name: key[name] for name in MATERIALS[RECEIPT] if key.get(name)}
        image = file.parent / "images" / f"{row['id']}.jpg"
        found.append(Labelled(image, ({KIND: RECEIPT, **fields},)))
    return found
