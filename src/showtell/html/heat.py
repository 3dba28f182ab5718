"""Heat maps over their image as one PNG: red raises the score, blue lowers it, the rest is grey."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from showtell.html.drawing import INK, PAPER, font_for, png

LONGEST, PANEL = 1024, 320
"""Pixels of the longer side, of a map alone and of one among several."""
COLUMNS = 4
GAP, LABEL = 8, 30
PERCENTILE = 99
"""Of the absolute heat: what is opaque, so that a few pixels do not hide the others."""
OPACITY = 0.8
SPREAD = 56
"""A pixel's heat is spread over this fraction of the side: single pixels of a photograph cannot be seen."""
RAISES, LOWERS = np.array([222, 45, 38.0]), np.array([33, 113, 181.0])
OUTSIDE = 0.4
"""Brightness of what the model did not see, because it was cropped."""


class HeatMap(NamedTuple):
    """A heat map of a part of an image."""

    label: str
    """Shown below a map among several."""
    heat: np.ndarray
    """`[h w]`, any size."""


def draw_heat(pixels: np.ndarray, seen: tuple[float, float, float, float], maps: Sequence[HeatMap]) -> bytes:
    """PNG of an image `uint8 [H W 3]` under each map, side by side with labels if there are several.

    The maps cover the part `seen` of the image: left, top, right and bottom, 0 to 1. They share one scale.
    """
    alone = len(maps) == 1
    image = Image.fromarray(pixels)
    longest = min(max(*image.size, PANEL), LONGEST) if alone else PANEL
    image = ImageOps.contain(image, (longest, longest), Image.Resampling.LANCZOS)
    width, height = image.size
    left, top, right, bottom = (
        round(share * side) for share, side in zip(seen, (width, height) * 2, strict=True)
    )
    box = left, top, max(right, left + 1), max(bottom, top + 1)
    heats = [_resized(one.heat, box[2] - box[0], box[3] - box[1]) for one in maps]
    opaque = max(float(np.percentile(np.abs(np.stack(heats)), PERCENTILE)), 1e-30)
    panels = [_overlaid(image, box, heat / opaque) for heat in heats]
    if alone:
        return png(panels[0])
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    size = columns * (width + GAP) + GAP, rows * (height + LABEL + GAP) + GAP
    canvas = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(canvas)
    for place, (panel, one) in enumerate(zip(panels, maps, strict=True)):
        x, y = GAP + place % columns * (width + GAP), GAP + place // columns * (height + LABEL + GAP)
        canvas.paste(panel, (x, y))
        if font := font_for(one.label, 18):
            draw.text((x + width / 2, y + height + LABEL / 2), one.label, INK, font, anchor="mm")
    return png(canvas)


def _resized(heat: np.ndarray, width: int, height: int) -> np.ndarray:
    """A heat map spread and resized to `[height width]`; its scale is not kept."""
    from scipy.ndimage import gaussian_filter

    spread = gaussian_filter(heat.astype(np.float32), [side / SPREAD / 2 for side in heat.shape])
    image = Image.fromarray(spread).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image)


def _overlaid(image: Image.Image, box: tuple[int, int, int, int], heat: np.ndarray) -> Image.Image:
    """The image in grey under a heat map whose opaque values are 1 and -1, inside the box."""
    grey = np.asarray(image.convert("L"), np.float64)[..., None].repeat(3, 2)
    left, top, right, bottom = box
    inside = grey[top:bottom, left:right].copy()
    grey *= OUTSIDE
    opacity = OPACITY * np.abs(heat).clip(0, 1)[..., None]
    colour = np.where(heat[..., None] > 0, RAISES, LOWERS)
    grey[top:bottom, left:right] = inside * (1 - opacity) + colour * opacity
    return Image.fromarray(grey.round().astype(np.uint8))
