"""How a text is drawn: its font, size, line width, alignment and colours, chosen or sampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from showtell.data.images.render.fonts import Font, choose

Align = Literal["left", "right", "centre", "up", "down"]
ALIGNMENTS: tuple[Align, ...] = get_args(Align)
_WEIGHTS = (0.2, 0.1, 0.25, 0.25, 0.2)
"""How often each alignment is sampled."""


@dataclass(frozen=True)
class Style:
    """How one text is drawn."""

    font: Font
    size: float = 20
    """Pixels per em, before the drawing is scaled to its canvas."""
    wrap: int = 42
    """Average letters per line."""
    align: Align = "left"
    """Where the lines, and the block of them on the canvas, lie."""
    inverted: bool = False
    """White on black instead of black on white."""
    spacing: float = 1.0
    """The distance of two lines, as a multiple of the font's own."""


@dataclass(frozen=True)
class SizeClass:
    """Texts of similar length, which are drawn at one size. Source: Basara 2023, the text renderer."""

    name: str
    tokens: int
    """The most tokens of a text, without special ones."""
    size: int
    """Pixels per em."""
    wrap: tuple[int, int]
    """The fewest and the most letters per line, both sampled."""

    def sample(
        self,
        text: str,
        fonts: Sequence[Font],
        generator: np.random.Generator,
        inverted: float = 0.5,
    ) -> Style:
        """A style for a text: a font that draws all of it, and `inverted` with that probability.

        Raises `UserError` that names the characters where no font draws the text.
        """
        font = choose(text, fonts, generator)
        wrap = int(generator.integers(self.wrap[0], self.wrap[1] + 1))
        align = ALIGNMENTS[generator.choice(len(ALIGNMENTS), p=_WEIGHTS)]
        return Style(font, self.size, wrap, align, bool(generator.random() < inverted))


SMALL = SizeClass("small", 50, int(30 / 1.5), (30, 54))
MEDIUM = SizeClass("medium", 100, int(23 / 1.5), (30, 64))
LARGE = SizeClass("large", 144, int(20 / 1.5), (30, 74))
SIZES = (SMALL, MEDIUM, LARGE)


def size_class(tokens: int) -> SizeClass:
    """The class of texts of at most so many tokens, and with that limit.

    >>> size_class(20).name, size_class(20).tokens, size_class(100).name, size_class(1000).name
    ('small', 20, 'medium', 'large')
    """
    found = next((size for size in SIZES if tokens <= size.tokens), LARGE)
    return replace(found, tokens=tokens)
