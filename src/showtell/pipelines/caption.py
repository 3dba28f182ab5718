"""Captions of image files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from showtell.data.images.decode import MAX_PIXELS
from showtell.library.sight import Tag
from showtell.pipelines.image_files import ImageFiles, Skip, read_batches
from showtell.pipelines.model import BATCH, Model, load_model
from showtell.pipelines.tags import sights
from showtell.protocols import Captioner
from showtell.tasks.caption import BEAM, Caption


@dataclass(frozen=True)
class Captioned:
    """An image with its captions."""

    path: str
    captions: list[Caption]
    """Best first."""
    model: str
    """Name of the model."""
    tags: list[Tag] = field(default_factory=list)
    """The backbone's own classes that it finds, with their probabilities, the best first."""
    familiar: bool | None = None
    """Whether the image looks like the training images; None where the model knows nothing of them."""
    familiarity: float | None = None
    """Below 1 for an image that is unfamiliar."""


def caption(
    images: ImageFiles,
    model: Model | None = None,
    *,
    beam: int = BEAM,
    num: int = 1,
    consensus: bool = True,
    sample: Literal["nucleus"] | None = None,
    seed: int = 0,
    max_pixels: int = MAX_PIXELS,
    skip: Skip | None = None,
) -> Iterator[Captioned]:
    """Caption image files and folders of them, in the order given; the model defaults to the shipped one.

    `num` captions per image come from beam search, those first that agree most with all hypotheses (without
    `consensus` the most probable ones), or from `sample="nucleus"`. A file that cannot be read is
    passed to `skip`; without `skip` it raises `ImageError`. Raises `UsageError` for a model that describes
    no images.

    Example::

        for image in showtell.caption(["cat.jpg", "holiday/"]):
            print(image.path, image.captions[0].text)
    """
    model = model or load_model()
    model.require(Captioner)
    for number, batch in enumerate(read_batches(images, model, max_pixels, skip)):
        if not batch:
            continue
        encoded = model.encode([pixels for _, pixels in batch])
        found = model.caption_encoded(
            encoded, beam=beam, num=num, consensus=consensus, sample=sample, seed=seed + number * BATCH
        )
        for (path, _), captions, seen in zip(batch, found, sights(model, encoded), strict=True):
            yield Captioned(str(path), captions, model.name, seen.tags, seen.familiar, seen.familiarity)
