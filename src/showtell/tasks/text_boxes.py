"""Boxes of lines of text, from the probability of text at each pixel, and the order in which they are read.

    probability -> regions above a threshold -> smallest rectangle around each -> enlarged, since the network
    is trained on shrunken regions

Source: Liao et al. 2020, "Real-time Scene Text Detection with Differentiable Binarization", section 3.
A rectangle stands for the paper's polygon: enlarged by the distance `area * ratio / perimeter` on each side.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage
from scipy.spatial import ConvexHull

Boxes = Float[np.ndarray, "T 4 2"]
"""Corners `(x, y)` in pixels, from the text's top left, clockwise."""
UPRIGHT = 1.5
"""A box this much taller than wide holds text that runs downwards."""


def text_boxes(
    probability: Float[np.ndarray, "H W"],
    *,
    threshold: float = 0.3,
    mean: float = 0.5,
    ratio: float = 1.6,
    smallest: float = 3.0,
) -> Boxes:
    """The boxes of regions whose probability is above `threshold`, and on average above `mean`.

    Regions that are narrower than `smallest` pixels are left out. Whether a text runs up or down, or stands
    on its head, cannot be seen here: a box is taken to run to the right, or else down.
    """
    labels, count = ndimage.label(probability > threshold, structure=np.ones((3, 3)))
    means = ndimage.mean(probability, labels, np.arange(1, count + 1)) if count else []
    found = []
    for label, (place, average) in enumerate(zip(ndimage.find_objects(labels), means, strict=True), 1):
        if average < mean:
            continue
        origin = np.array([place[1].start, place[0].start])
        centre, along, length, height = rectangle(_outline(labels[place] == label) + origin)
        if min(length, height) < smallest:
            continue
        distance = length * height * ratio / (2 * (length + height))
        found.append(_corners(centre, along, length + 2 * distance, height + 2 * distance))
    return np.array(found).reshape(-1, 4, 2)


def _outline(region: Bool[np.ndarray, "H W"]) -> Int[np.ndarray, "P 2"]:
    """The corners of the first and last pixels of each row."""
    rows = np.flatnonzero(region.any(1))
    first = region[rows].argmax(1)
    past = region.shape[1] - region[rows, ::-1].argmax(1)
    return np.array(
        [(x, y + below) for below in (0, 1) for xs in (first, past) for x, y in zip(xs, rows, strict=True)]
    )


def rectangle(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float]:
    """The smallest rectangle around points `[P 2]`: its centre, its reading direction, length and height.

    One of its sides lies on a side of the convex hull (Freeman & Shapira 1975).
    """
    hull = points[ConvexHull(points).vertices].astype(np.float64)
    sides = np.roll(hull, -1, 0) - hull
    along = sides / np.linalg.norm(sides, axis=1, keepdims=True)
    across = np.stack([-along[:, 1], along[:, 0]], 1)
    u, v = hull @ along.T, hull @ across.T
    sizes = np.stack([np.ptp(u, 0), np.ptp(v, 0)], 1)
    best = int(sizes.prod(1).argmin())
    axes = np.stack([along[best], across[best]])
    middle = np.array([u[:, best].max() + u[:, best].min(), v[:, best].max() + v[:, best].min()]) / 2
    centre = middle @ axes
    reading = _reading_axis(axes, sizes[best])
    length, height = sizes[best][reading], sizes[best][1 - reading]
    direction = axes[reading]
    forward = direction[0] if abs(direction[0]) >= abs(direction[1]) else direction[1]
    return centre, direction if forward > 0 else -direction, float(length), float(height)


def _reading_axis(axes: np.ndarray, sizes: np.ndarray) -> int:
    longer, level = int(sizes.argmax()), int(np.abs(axes[:, 0]).argmax())
    return longer if sizes.max() >= UPRIGHT * sizes.min() else level


def _corners(centre: np.ndarray, along: np.ndarray, length: float, height: float) -> np.ndarray:
    across = np.array([-along[1], along[0]])
    signs = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) / 2
    return centre + signs[:, :1] * length * along + signs[:, 1:] * height * across


def upright(boxes: Boxes) -> Boxes:
    """Boxes in axes of their own: `x` in the direction of most text, `y` across it, downwards."""
    if not len(boxes):
        return boxes
    ends = boxes[:, 1] - boxes[:, 0]
    lengths = np.linalg.norm(ends, axis=1)
    direction = np.median(ends, axis=0) if len(boxes) > 2 else ends[lengths.argmax()]
    x, y = direction / max(np.linalg.norm(direction), 1e-9)
    return boxes @ np.array([[x, -y], [y, x]])


def text_rows(boxes: Boxes) -> list[list[int]]:
    """The rows of boxes, downwards, each from its start, in the direction of most text.

    Boxes are in one row when the middle of one lies within the height of the other. Columns are not told
    apart: a row goes through all of them.
    """
    if not len(boxes):
        return []
    x, y = upright(boxes).mean(1).T
    heights = np.linalg.norm(boxes[:, 3] - boxes[:, 0], axis=1)
    rows: list[list[int]] = []
    for i in np.argsort(y, kind="stable").tolist():
        last = rows[-1][-1] if rows else None
        if last is not None and y[i] - y[last] < min(heights[i], heights[last]) / 2:
            rows[-1].append(i)
        else:
            rows.append([i])
    return [sorted(row, key=lambda i: x[i]) for row in rows]


def reading_order(boxes: Boxes) -> list[int]:
    """The order of boxes as they are read: row after row of `text_rows`."""
    return [i for row in text_rows(boxes) for i in row]
