"""Stacked bars as one PNG: how a whole is made of parts, one bar per row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw

from showtell.html.drawing import INK, PAPER, font_for, png

WIDTH, ROW, LEFT, RIGHT, TOP = 1400, 70, 420, 140, 110
COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2")


def draw_bars(title: str, names: Sequence[str], rows: Sequence[Mapping[str, float]], unit: str) -> bytes:
    """PNG of a bar per name, of parts that begin where the one before ends; each row has the same parts.

    Raises `ValueError` for no rows.
    """
    parts = list(rows[0]) if rows else []
    if not parts:
        raise ValueError("there is nothing to draw")
    longest = max(sum(row.values()) for row in rows) or 1.0
    canvas = Image.new("RGB", (WIDTH, TOP + ROW * len(rows) + 20), PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((24, 20), title, INK, font_for(title, 28))
    x = LEFT
    for part, colour in zip(parts, COLOURS, strict=False):
        draw.rectangle((x, 66, x + 22, 88), fill=colour)
        draw.text((x + 30, 64), part, INK, font_for(part, 22))
        x += 60 + 13 * len(part)
    for place, (name, row) in enumerate(zip(names, rows, strict=True)):
        y, left = TOP + ROW * place, float(LEFT)
        draw.text((LEFT - 16, y + 22), name, INK, font_for(name, 22), anchor="rm")
        for part, colour in zip(parts, COLOURS, strict=False):
            right = left + (WIDTH - LEFT - RIGHT) * row[part] / longest
            draw.rectangle((left, y, max(right - 1, left), y + 44), fill=colour)
            left = right
        total = f"{sum(row.values()):.3g} {unit}"
        draw.text((left + 10, y + 22), total, INK, font_for(total, 22), anchor="lm")
    return png(canvas)
