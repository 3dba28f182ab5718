"""Frozen backbones with networks in common, which read an image once for all."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from showtell.hub.backbone import Backbone, Run
from showtell.hub.side_by_side import side_by_side

KEPT = 64
"""Images whose features are kept: two batches, as models that read the same files are less than one apart."""


def sharing(backbones: Sequence[Backbone | None]) -> list[Backbone | None]:
    """The same backbones, of which a network that several run does not run again for an image just read."""
    uses = Counter(_identity(part) for each in backbones if each for part in each.parts or [each])
    recent: dict[tuple[str, str], Run] = {}

    def shared(backbone: Backbone) -> Backbone:
        if backbone.parts:
            return side_by_side([shared(part) for part in backbone.parts])
        if uses[_identity(backbone)] == 1:
            return backbone
        return replace(backbone, run=recent.setdefault(_identity(backbone), RecentFeatures(backbone.run)))

    return [each and shared(each) for each in backbones]


def _identity(backbone: Backbone) -> tuple[str, str]:
    return backbone.hash, backbone.preprocessing


class RecentFeatures:
    """A network's features, computed only of images that are not among the last that it was given."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._known: dict[bytes, Tensor] = {}

    def __call__(self, pixels: np.ndarray) -> Tensor:
        """As `Backbone.run`."""
        digests = [hashlib.sha256(image.tobytes()).digest() for image in pixels]
        if new := {digest: i for i, digest in enumerate(digests) if digest not in self._known}:
            self._known.update(zip(new, self._run(pixels[[*new.values()]]), strict=True))
        found = torch.stack([self._known[digest] for digest in digests])
        for digest in list(self._known)[:-KEPT]:
            del self._known[digest]
        return found
