"""Vectors of texts by a model that reads pixels: the texts are drawn, a long one on several pages."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import Tensor

from showtell.datasets.cuts import Cuts
from showtell.datasets.text_inputs import Drawn
from showtell.errors import UsageError
from showtell.nn.watch import watch_layers
from showtell.pipelines.classify_texts import text_input
from showtell.pipelines.model import Model
from showtell.progress import report
from showtell.wording import counted

logger = logging.getLogger(__name__)

BATCH = 32
"""Pages per forward pass."""


def pages_of(text: str, given: Drawn, most: int) -> tuple[list[str], int, bool]:
    """The text of each page, of at most `most` tokens together; how many are lost; whether letters are.

    Characters that the font with the most of them cannot draw are left out.
    """
    words = " ".join(text.split())
    missing = min((font.missing(words) for font in given.fonts), key=len)
    drawn = " ".join("".join(letter for letter in words if letter not in missing).split())
    spans = given.tokenizer.pieces(drawn).offsets
    parts = [spans[first : first + given.limit] for first in range(0, min(len(spans), most), given.limit)]
    if parts:
        parts[-1] = parts[-1][: most - given.limit * (len(parts) - 1)]
    pages = [drawn[part[0][0] : part[-1][1]].strip() for part in parts]
    return [page for page in pages if page], max(len(spans) - most, 0), bool(missing)


@torch.no_grad()
def embed_pages(
    model: Model, texts: Sequence[str], most: int | None = None, *, strict: bool = False
) -> tuple[Tensor, Tensor, Cuts]:
    """What enters each of the encoder's `L` blocks, `[R L*D]`, and the pooled vector, `[R D]`.

    Both are means over the tokens of an image and over a text's pages; a text has one page, or, where `most`
    tokens need more, as many. Raises `UsageError` for a model that reads no pages.
    """
    given = text_input(model)
    if not isinstance(given, Drawn):
        raise UsageError(f"the model {model.name} reads no pages; choose another with --model")
    most = given.limit if most is None else most
    cuts = Cuts(most, f"{model.name} is given", strict=strict)
    pages, owner, without = list[str](), list[int](), 0
    for place, text in enumerate(texts):
        found, lost, letters = pages_of(text, given, most)
        cuts.add(text, lost)
        without += letters
        pages += found
        owner += [place] * len(found)
    if without:
        logger.warning("%s drawn without the letters that no font has", counted(without, "text"))
    inside, pooled = list[Tensor](), list[Tensor]()
    for first in range(0, len(pages), BATCH):
        # One at a time, so that all have one font and size.
        some = [given.drawings([page], [()], (0,))[0] for page in pages[first : first + BATCH]]
        with watch_layers() as layers:
            encoded = model.system.encode_images(given.images(some).to(model.device))
        means = [tokens.mean(1) for tokens in layers]
        inside.append(torch.cat([*means, encoded.pooled[:, :0]], 1).float().cpu())
        pooled.append(encoded.pooled.float().cpu())
        report("reading pages", first + len(some), len(pages))
    return _means(inside, owner, len(texts)), _means(pooled, owner, len(texts)), cuts


def _means(rows: Sequence[Tensor], owner: Sequence[int], number: int) -> Tensor:
    """The mean of the rows of each owner, `[number D]`; 0 for one without."""
    joined, places = torch.cat(list(rows)), torch.tensor(owner)
    counts = places.bincount(minlength=number).clamp(min=1)[:, None]
    return joined.new_zeros(number, joined.shape[1]).index_add(0, places, joined) / counts
