"""Texts read from image files, masked words filled in, also as pixels."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from showtell.data.images.decode import MAX_PIXELS, ImageError, load_image
from showtell.data.images.page import Fitted, Page, grey
from showtell.data.images.render.fonts import fonts
from showtell.data.images.render.paint import paint
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import UsageError
from showtell.pipelines.image_files import ImageFiles, Skip, all_files
from showtell.pipelines.model import Model
from showtell.tasks.reading import Reading, ReadToken, TextReader, read_encoded
from showtell.writing import replacing, writing

logger = logging.getLogger(__name__)

UNSURE = -1.0
"""Nats per token below which a text may not be what the image shows: a photograph reads as anything."""


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
    model: str
    """Name of the model."""


def read(
    images: ImageFiles,
    model: Model,
    *,
    beam: int = 1,
    max_pixels: int = MAX_PIXELS,
    skip: Skip | None = None,
) -> Iterator[ReadImage]:
    """The text of image files and folders of them, in the order given, token by token.

    An image may have any size, letters of any height, and any two colours. A file that cannot be read is
    passed to `skip`; without `skip` it raises `ImageError`. Raises `UsageError` for a model that does not
    read.

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
        fitted = page.fit(grey(pixels))
        if (fitted.pixels == 255).all():
            logger.warning("%s: the image is blank", path)
        found = _read_page(fitted, model, tokenizer, beam)
        tokens = [_in_image(token, fitted) for token in found.tokens]
        sure = found.logprob_per_token >= UNSURE
        if not sure:
            logger.warning(
                "%s: unsure, %.1f nats per token; it may hold no text, or one unlike those trained on",
                path,
                -found.logprob_per_token,
            )
        yield ReadImage(str(path), found.text, tokens, found.logprob_per_token, sure, model.name)


def _reader(model: Model) -> tuple[SubwordTokenizer, Page]:
    """What a model needs to read. Raises `UsageError` for one that does not."""
    model.require(TextReader)
    assert model.image_input is not None
    page = model.image_input.prepare
    if not isinstance(page, Page) or not isinstance(model.tokenizer, SubwordTokenizer):
        raise UsageError(f"the model {model.name} was not trained to read pages; choose another with --model")
    return model.tokenizer, page


@torch.inference_mode()
def _read_page(fitted: Fitted, model: Model, tokenizer: SubwordTokenizer, beam: int) -> Reading:
    encoded = model.encode([np.repeat(fitted.pixels[..., None], 3, 2)])
    sides = (fitted.pixels.shape[0], fitted.pixels.shape[1])
    return read_encoded(model.system, tokenizer, encoded, sides, beam=beam)[0]


def _in_image(token: ReadToken, fitted: Fitted) -> ReadToken:
    """The token with its box in pixels of the image."""
    if token.box is None:
        return token
    left, top, right, bottom = fitted.origin(np.array([token.box]))[0].round(1).tolist()
    return replace(token, box=(left, top, right, bottom))


def reconstruct(image: ReadImage, output: Path, max_pixels: int = MAX_PIXELS) -> int:
    """Write the image with its masked words painted back, in place of the masks; return how many.

    The renderer draws them, in a font of this machine, where the model points. Raises `UsageError` for a
    model that does not point or does not say what is masked, `UserError` when the file cannot be written.
    """
    if any(token.masked is None or token.box is None for token in image.tokens):
        raise UsageError(
            f"the model {image.model} does not say which words are masked, and where; train it with "
            "--set system.pointing_weight=1 --set system.masked_weight=0.2"
        )
    if output.suffix.lower() not in Image.registered_extensions():
        raise UsageError(f"{output}: the name of an image ends in .png, .jpg or another image format")
    pixels = load_image(image.path, max_pixels)
    masked = [token for token in image.tokens if token.masked]
    font = next((font for font in fonts() if font.covers(image.text)), fonts()[0])
    for token in masked:
        assert token.box is not None
        paint(pixels, token.box, token.text.strip(), font)
    with writing(output), replacing(output) as file:
        Image.fromarray(pixels).save(file, Image.registered_extensions()[output.suffix.lower()])
    return len(masked)


def reconstruct_into(image: ReadImage, output: Path, max_pixels: int = MAX_PIXELS) -> tuple[Path, int]:
    """`reconstruct` to a file, or, where `output` has no ending, into that folder; returns the file too."""
    if not output.suffix:
        with writing(output):
            output.mkdir(parents=True, exist_ok=True)
        output = output / Path(image.path).with_suffix(".png").name
    return output, reconstruct(image, output, max_pixels)
