"""Drawn documents with their materials, and the lines that are printed on them."""

import json

from PIL import Image

from showtell.data.documents.materials import KIND
from showtell.datasets.printed_text import TextLine

SHOPS = ["ALPHA BOOKS", "BETA FOODS", "GAMMA TOOLS", "DELTA TOYS"]


def box(x: float, y: float, text: str, height: float = 20) -> list[list[float]]:
    right = x + height * 0.6 * len(text)
    return [[x, y], [right, y], [right, y + height], [x, y + height]]


def receipt(number: int) -> tuple[dict[str, str], list[TextLine]]:
    """A receipt, and its lines."""
    total, other = f"{number + 3}.{10 + 7 * number % 80}", f"{2 * number + 50}.00"
    shop, date = f"{SHOPS[number % 4]} {100 + number}", f"{1 + number % 28:02}/0{1 + number % 9}/2018"
    address = [f"NO {number + 1}, JALAN {SHOPS[number % 3].split()[0]}", f"8110{number % 9} JOHOR BAHRU"]
    placed = [
        (80, 0, shop),
        (60, 40, address[0]),
        (60, 70, address[1]),
        (0, 110, f"DATE: {date} 8:1{number % 9}"),
        (0, 150, "BREAD"),
        (300, 150, other),
        (0, 190, "TOTAL"),
        (300, 192, total),
        (0, 230, "THANK YOU"),
    ]
    lines = [TextLine(text, 0.9, box(x, y, text)) for x, y, text in placed]
    fields = {"company": shop, "date": date, "address": ", ".join(address), "total": total}
    return {KIND: "receipt", **fields}, lines


def receipts(folder, count: int, kept) -> None:
    """A data set of receipts; `kept(path, lines)` takes what is printed on each."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        material, lines = receipt(number)
        name = f"{number}.png"
        Image.new("L", (40, 30 + number), "white").save(folder / name)
        kept(folder / name, lines)
        rows.append({"image": name, "materials": [material]})
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / "materials.jsonl").write_text(text, "utf-8")
