"""Texts read from image files, masked words filled in; a long text in parts."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from showtell.data.images.decode import MAX_PIXELS, ImageError, load_image
from showtell.data.images.page import Fitted, Page, grey
from showtell.data.images.render.layout import UNSPACED
from showtell.data.images.tiles import Tile, tiles
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import UsageError, UserError
from showtell.pipelines.image_files import ImageFiles, Skip, all_files
from showtell.pipelines.model import Model
from showtell.tasks.reading import Reading, ReadToken, TextReader, read_encoded

logger = logging.getLogger(__name__)

UNSURE = -0.5
"""Nats per token that is no mask, below which a text may not be what the image shows: a photograph reads as
anything."""
_LETTER = re.compile(f"[{UNSPACED}]")


@dataclass(frozen=True)
class ReadImage:
    """The text of an image."""

    path: str
    text: str
    tokens: list[ReadToken]
    """Boxes are in pixels of the image."""
    logprob_per_token: float
    sure: bool
    """False for a text that the model itself finds improbable."""
    parts: list[tuple[int, int, int, int]]
    """Left, top, right and bottom of what was read at once, in pixels: several where a page is too small."""
    model: str
    """Name of the model."""


def read(
    images: ImageFiles,
    model: Model,
    *,
    beam: int = 1,
    max_pixels: int = MAX_PIXELS,
    skip: Skip | None = None,
    strict: bool = False,
) -> Iterator[ReadImage]:
    """The text of image files and folders of them, in the order given, token by token.

    An image may have any size, letters of any height, and any two colours. A text that is longer than a page
    is divided between its lines, and a wide line between its words, and what is read is joined; with `strict`
    it is refused. A file that cannot be read is passed to `skip`; without `skip` it raises `ImageError`.
    Raises `UsageError` for a model that does not read, `UserError` with `strict` for a text to divide.

    Example::

        for image in showtell.read(["page.png"], load_model("run")):
            print(image.text, [token.text for token in image.tokens if token.masked])
    """
    tokenizer, page = _reader(model)
    for path in all_files([images] if isinstance(images, (Path, str)) else images):
        try:
            if isinstance(path, ImageError):
                raise path
            pixels = load_image(path, max_pixels)
        except ImageError as error:
            if skip is None:
                raise
            skip(error)
            continue
        found = _read_tiles(grey(pixels), page, model, tokenizer, beam)
        if strict and len(found) > 1:
            raise UserError(
                f"{path}: the text is longer than a page of {model.name}; leave out --strict to read it in "
                f"{len(found)} parts"
            )
        yield _joined(str(path), found, model)


Part = tuple[Tile, Fitted, Reading]


def _joined(path: str, found: list[Part], model: Model) -> ReadImage:
    """What was read of the tiles of an image."""
    if all((fitted.pixels == 255).all() for _, fitted, _ in found):
        logger.warning("%s: the image is blank", path)
    if len(found) > 1:
        logger.info("%s: the text is longer than a page, read in %d parts", path, len(found))
    text, tokens = "", list[ReadToken]()
    logprob, count = 0.0, 0
    for tile, fitted, reading in found:
        some = [_in_image(token, tile, fitted) for token in reading.tokens]
        if some and text and not _unspaced(text[-1:] + some[0].text[:1]):
            some[0] = replace(some[0], text=" " + some[0].text.lstrip())
        text += "".join(token.text for token in some)
        tokens += some
        logprob += reading.logprob_per_token * (len(some) + 1)
        count += len(some) + 1
    shown = [math.log(max(token.probability, 1e-30)) for token in tokens if not token.masked]
    sureness = sum(shown) / len(shown) if shown else logprob / count
    sure = sureness >= UNSURE
    if not sure:
        logger.warning(
            "%s: unsure, %.1f nats per token; it may hold no text, or one unlike those trained on",
            path,
            -sureness,
        )
    parts = [tile.box for tile, _, _ in found]
    return ReadImage(path, text, tokens, logprob / count, sure, parts, model.name)


def _reader(model: Model) -> tuple[SubwordTokenizer, Page]:
    """What a model needs to read. Raises `UsageError` for one that does not."""
    model.require(TextReader)
    assert model.image_input is not None
    page = model.image_input.prepare
    if not isinstance(page, Page) or not isinstance(model.tokenizer, SubwordTokenizer):
        raise UsageError(f"the model {model.name} was not trained to read pages; choose another with --model")
    return model.tokenizer, page


@torch.inference_mode()
def _read_tiles(
    pixels: np.ndarray, page: Page, model: Model, tokenizer: SubwordTokenizer, beam: int
) -> list[Part]:
    """Each tile of an image with what is read of it; one that holds too many tokens is divided again."""
    most = model.system.config.max_length - 2
    waiting, done = tiles(pixels, page), list[Part]()
    while waiting:
        fitted = [page.fit(tile.of(pixels)) for tile in waiting]
        encoded = model.encode([np.repeat(one.pixels[..., None], 3, 2) for one in fitted])
        read = read_encoded(model.system, tokenizer, encoded, (page.height, page.width), beam=beam)
        found, waiting = [*zip(waiting, fitted, read, strict=True)], []
        for part in found:
            halves = part[0].halves() if len(part[2].tokens) >= most else []
            waiting += halves
            done += [] if halves else [part]
    return sorted(done, key=lambda part: (part[0].top, part[0].left))


def _unspaced(letters: str) -> bool:
    """Whether one of some letters is of a script without spaces."""
    return _LETTER.search(letters) is not None


def _in_image(token: ReadToken, tile: Tile, fitted: Fitted) -> ReadToken:
    """The token with its box in pixels of the image."""
    if token.box is None:
        return token
    box = fitted.origin(np.array([token.box]))[0] + np.array([tile.left, tile.top] * 2)
    left, top, right, bottom = box.round(1).tolist()
    return replace(token, box=(left, top, right, bottom))
