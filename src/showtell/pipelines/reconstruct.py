"""Masked words painted back into the image that was read: by the model's own pixels, or by the renderer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from showtell.data.images.decode import MAX_PIXELS, load_image
from showtell.data.images.page import Page, grey, ink_of
from showtell.data.images.render.fonts import BUILT_IN, fonts
from showtell.data.images.render.paint import blend, inside, paint
from showtell.errors import UsageError
from showtell.pipelines.model import Model
from showtell.pipelines.read import ReadImage
from showtell.tasks.reading import ReadToken
from showtell.writing import replacing, writing


@dataclass(frozen=True)
class Reconstructed:
    """An image with its masked words painted back."""

    path: Path
    masked: int
    """Tokens that were painted."""
    font: str | None
    """Of the renderer; None where the model drew the pixels itself."""


def reconstruct(image: ReadImage, model: Model, output: Path, max_pixels: int = MAX_PIXELS) -> Reconstructed:
    """Write the image with its masked words painted back where the model points, in place of the masks.

    A model that learned to draw what masks removed (`system.pixel_weight`) draws them itself; else the
    renderer does, in a font of this machine. Where `output` has no ending, the file goes into that folder.

    Raises `UsageError` for a model that does not point or does not say what is masked, `UserError` when the
    file cannot be written.
    """
    if any(token.masked is None or token.box is None for token in image.tokens):
        raise UsageError(
            f"the model {image.model} does not say which words are masked, and where; train it with "
            "--set system.pointing_weight=1 --set system.masked_weight=0.2"
        )
    if not output.suffix:
        with writing(output):
            output.mkdir(parents=True, exist_ok=True)
        output = output / Path(image.path).with_suffix(".png").name
    if output.suffix.lower() not in Image.registered_extensions():
        raise UsageError(f"{output}: the name of an image ends in .png, .jpg or another image format")
    pixels = load_image(image.path, max_pixels)
    seen = grey(pixels)
    masked = _masks(image.tokens, ink_of(seen)[1])
    font = None
    if masked and not _by_pixels(pixels, seen, image, masked, model):
        font = next((font for font in (BUILT_IN, *fonts()) if font.covers(image.text)), BUILT_IN)
        for token in masked:
            assert token.box is not None
            paint(pixels, token.box, token.text.strip(), font)
    with writing(output), replacing(output) as file:
        Image.fromarray(pixels).save(file, Image.registered_extensions()[output.suffix.lower()])
    return Reconstructed(output, len(masked), None if font is None else font.name)


def _masks(tokens: Sequence[ReadToken], ink: np.ndarray) -> list[ReadToken]:
    """The masked tokens, whose boxes go on as far as the ink does: to a gap, or to the token after it.

    `ink bool [H W]` is True where the image shows ink.
    """
    found = []
    for token, after in zip_longest(tokens, tokens[1:]):
        if token.masked and token.box is not None:
            left, top, right, bottom = token.box
            limit, end = ink.shape[1], round(right)
            if after and after.box and after.box[0] > left and after.box[1] < bottom and top < after.box[3]:
                limit = round(after.box[0])
            columns: np.ndarray = np.any(ink[max(round(top), 0) : max(round(bottom), 0)], axis=0)
            gap = max(round((bottom - top) / 4), 1)
            while end < limit and columns[end : end + gap].any():
                end += 1
            found.append(replace(token, box=(left, top, float(end), bottom)))
    return found


@torch.inference_mode()
def _by_pixels(
    pixels: np.ndarray, seen: np.ndarray, image: ReadImage, masked: list[ReadToken], model: Model
) -> bool:
    """Paint with what the model draws; False, and nothing painted, for a model that does not draw."""
    assert model.image_input is not None
    page = model.image_input.prepare
    assert isinstance(page, Page)
    for left, top, right, bottom in image.parts:
        fitted = page.fit(seen[top:bottom, left:right])
        encoded = model.encode([np.repeat(fitted.pixels[..., None], 3, 2)])
        drawn = model.system.reconstructed(encoded, (page.height, page.width))
        if drawn is None:
            return False
        ink = np.rint((1 - drawn[0].float().mean(0).cpu().numpy()) * 255).astype(np.uint8)
        for token in masked:
            assert token.box is not None
            place = inside(token.box, pixels.shape)
            if place is None:
                continue
            rows, columns = place
            x, y = (columns.start + columns.stop) / 2, (rows.start + rows.stop) / 2
            if not (left <= x < right and top <= y < bottom):
                continue
            box = np.array([[columns.start, rows.start, columns.stop, rows.stop]], float)
            moved = fitted.place(box - np.array([left, top] * 2)) * np.array([page.width, page.height] * 2)
            size = (columns.stop - columns.start, rows.stop - rows.start)
            part = Image.fromarray(ink).resize(size, Image.Resampling.BILINEAR, tuple(moved[0].tolist()))
            blend(pixels, place, np.asarray(part) / 255)
    return True
