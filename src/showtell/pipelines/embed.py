"""Embeddings of images or texts, streamed: memory does not grow with their number."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from showtell.data.images.decode import MAX_PIXELS
from showtell.data.images.files import is_image_name
from showtell.data.texts.files import ENDINGS, documents, layout_of
from showtell.datasets.cuts import Cuts, encode_within
from showtell.errors import UsageError, UserError
from showtell.pipelines.image_files import Skip, read_batches
from showtell.pipelines.model import Model, load_model
from showtell.protocols import ImageEncoder, TextEncoder
from showtell.wording import counted

logger = logging.getLogger(__name__)

TEXTS = 512
"""Texts that are sorted by length together."""


@dataclass(frozen=True)
class Embedding:
    """The vector of an image or a text."""

    source: dict[str, str]
    """`{"path": ...}` of an image, `{"text": ...}` of a text."""
    vector: np.ndarray
    """`float32 [D]`."""
    cut: int = 0
    """Tokens at the end of a text that the model did not read."""


def embed(
    inputs: str | Path | Iterable[str | Path],
    model: Model | None = None,
    *,
    texts: bool = False,
    max_pixels: int = MAX_PIXELS,
    skip: Skip | None = None,
    strict: bool = False,
) -> Iterator[Embedding]:
    """One vector per image or text, in the order given; the model defaults to the shipped one.

    The inputs are image files and folders of them, or `.txt` and `.jsonl` files of texts, or with `texts` the
    texts themselves. The error of an image or a file of texts that cannot be read is passed to `skip`;
    without `skip` it is raised. Texts longer than the model reads are cut, with one warning; with `strict`
    they, and files of texts that cannot be read, are refused by a `UserError`. `Model.encode_images` and
    `Model.encode_texts` return one array instead.

    Raises `UsageError` for images and texts in one call, for a folder of texts alone, and for a model that is
    no image or text encoder.

    Example::

        for one in embed("holiday/"):
            print(one.source["path"], one.vector)
    """
    model = model or load_model()
    given = iter([inputs] if isinstance(inputs, (str, Path)) else inputs)
    if texts:
        yield from _texts(map(str, given), model, strict)
        return
    first = next(given, None)
    if first is None:
        return
    named = _one_kind(first, given)
    if holds_texts(first):
        found = (text for file in map(Path, named) for text in _read(file, None if strict else skip))
        yield from _texts(found, model, strict)
    else:
        if Path(first).is_dir() and _holds_texts_alone(Path(first)):
            raise UsageError(f"{first} holds texts, no images: name its files, such as {first}/*.txt")
        yield from _images(named, model, max_pixels, skip)


def holds_texts(name: str | Path) -> bool:
    """Whether a file's name says that it holds texts."""
    return str(name).lower().endswith(ENDINGS)


def _holds_texts_alone(folder: Path) -> bool:
    names = [file.name for file in folder.rglob("*")]
    return any(map(holds_texts, names)) and not any(map(is_image_name, names))


def _read(file: Path, skip: Skip | None) -> Iterator[str]:
    """The texts of a file, up to what cannot be read."""
    try:
        yield from documents(file, layout_of(file))
    except UserError as error:
        if skip is None:
            raise
        skip(error)


def _one_kind(first: str | Path, rest: Iterable[str | Path]) -> Iterator[str | Path]:
    yield first
    for name in rest:
        if holds_texts(name) != holds_texts(first):
            raise UsageError(f"{first} and {name} are images and texts: embed them in two calls")
        yield name


def _images(
    files: Iterable[str | Path], model: Model, max_pixels: int, skip: Skip | None
) -> Iterator[Embedding]:
    model.require(ImageEncoder)
    for batch in read_batches(files, model, max_pixels, skip):
        if batch:
            vectors = model.encode([pixels for _, pixels in batch]).pooled.cpu().numpy()
            for (path, _), vector in zip(batch, vectors, strict=True):
                yield Embedding({"path": str(path)}, vector)


def _texts(texts: Iterator[str], model: Model, strict: bool) -> Iterator[Embedding]:
    model.require(TextEncoder)
    cuts = Cuts(model.max_length, f"{model.name} reads", strict=strict)
    empty = 0
    while some := list(islice(texts, TEXTS)):
        empty += sum(not text.strip() for text in some)
        rows = [encode_within(model.tokenizer, text, model.max_length) for text in some]
        for text, (_, cut) in zip(some, rows, strict=True):
            cuts.add(text, cut)
        vectors = model.vectors_of([ids for ids, _ in rows]).cpu().numpy()
        for text, (_, cut), vector in zip(some, rows, vectors, strict=True):
            yield Embedding({"text": text}, vector, cut)
    cuts.log()
    if empty:
        logger.warning("%s without words: such a vector says nothing", counted(empty, "text"))
