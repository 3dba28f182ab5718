"""Several frozen backbones that read the same image, as one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from showtell.data.images.mosaic import Mosaic
from showtell.errors import UsageError
from showtell.hub.backbone import Backbone
from showtell.nn.grid import coarser


def side_by_side(parts: Sequence[Backbone]) -> Backbone:
    """Several backbones as one, whose tokens are those of the parts side by side on their coarsest grid.

    Raises `UsageError` for one that is named twice.
    """
    names = [part.name for part in parts]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"the backbone {twice[0]} is named twice in {'+'.join(names)}")
    squares = Mosaic.of([part.preprocessing for part in parts])
    num_tokens = min(part.num_tokens for part in parts)

    def run(pixels: np.ndarray) -> Tensor:
        seen = squares.squares(pixels)
        grids = (part(seen[part.preprocessing]) for part in parts)
        return torch.cat([coarser(grid, num_tokens) for grid in grids], -1)

    def features(pixels: Tensor) -> Tensor:
        seen = squares.squares(pixels.movedim(1, -1))
        grids = (part.features(seen[part.preprocessing].movedim(-1, 1)) for part in parts)
        return torch.cat([coarser(grid, num_tokens) for grid in grids], -1)

    found = Backbone(
        "+".join(names),
        squares.size,
        sum(part.width for part in parts),
        num_tokens,
        hashlib.sha256(" ".join(part.hash for part in parts).encode()).hexdigest(),
        squares.version,
        " Beside it: ".join(part.about for part in parts),
        run,
        features,
        parts=tuple(parts),
    )
    able = [place for place, part in enumerate(parts) if part.logits]
    if not able:
        return found
    first = sum(part.width for part in parts[: able[-1]])  # the last that classifies does
    return replace(found, classes=parts[able[-1]].classes, logits=_of_some(parts[able[-1]], first))


def _of_some(part: Backbone, first: int) -> Callable[[Tensor], Tensor] | None:
    """A part's logits from the features of all parts, of which its own begin at `first`."""
    if (logits := part.logits) is None:
        return None
    return lambda features: logits(features[:, first : first + part.width])
