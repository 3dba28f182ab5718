"""Questions about images, answered by a model that was trained on them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from showtell.data.batch import Batch
from showtell.data.images.decode import MAX_PIXELS, ImageError
from showtell.datasets.cuts import Cuts
from showtell.errors import UsageError
from showtell.pairing import AnswerWriter, PairAnswerer
from showtell.pipelines.classify_texts import text_input
from showtell.pipelines.image_files import ImageFiles, Skip, all_files, read_files
from showtell.pipelines.model import Model
from showtell.tasks.decoding import beam_search
from showtell.wording import counted

BEAM = 3
"""Of answers that are written. Source: Li et al. 2022, "BLIP", whose code has it."""
LONGEST = 10
"""Tokens of a written answer."""


@dataclass(frozen=True)
class ImageAnswer:
    """An answer with its probability."""

    answer: str
    probability: float
    """Of being right, those of all answers adding up to 1 only where one excludes the others; or of being
    written, where the model writes answers."""


@dataclass(frozen=True)
class Asked:
    """A question about an image, or about two, with its answers."""

    path: str | list[str]
    """The image, or both."""
    question: str
    answers: list[ImageAnswer]
    """The most probable first."""
    model: str
    """Name of the model."""


def ask(
    images: ImageFiles,
    question: str,
    model: Model,
    *,
    top: int = 5,
    max_pixels: int = MAX_PIXELS,
    skip: Skip | None = None,
    strict: bool = False,
) -> Iterator[Asked]:
    """The `top` answers to a question about each image file, or each two of them, in the order given.

    They are answers of the training, or those that the model writes.

    A file that cannot be read is passed to `skip`; without `skip` it raises `ImageError`. A question that is
    too long is cut, with a warning, or with `strict` refused by a `UserError`. Raises `UsageError` for a
    model that answers no questions, an empty question, and one image where the model reads two.

    Example::

        for one in ask("cat.jpg", "what is on the sofa?", load_model("run")):
            print(one.answers[0].answer, one.answers[0].probability)
    """
    names = () if model.can(AnswerWriter) else named_answers(model)
    if not question.strip():
        raise UsageError("the question is empty; write one")
    cuts = Cuts(text_input(model).limit, f"{model.name} reads", "question", strict)
    for paths, pixels in _images(images, model, max_pixels, skip):
        if model.can(AnswerWriter):
            (found,) = written_answers(model, pixels, [question], cuts, top)
        else:
            probable = answer_probabilities(model, pixels, [question], cuts)[0]
            values, places = probable.topk(min(top, len(names)))
            found = [ImageAnswer(names[i], p) for i, p in zip(places.tolist(), values.tolist(), strict=True)]
        yield Asked(paths[0] if len(paths) == 1 else paths, question, found, model.name)
    cuts.log()


def named_answers(model: Model) -> Sequence[str]:
    """The answers that a model knows. Raises `UsageError` for one that has none, or none with names."""
    if not model.can(PairAnswerer) or not model.system.class_names:
        raise UsageError(
            f"the model {model.name} answers no questions about images; train one with showtell train "
            "vqa_vilt, and choose it with --model"
        )
    return model.system.class_names


@torch.no_grad()
def answer_probabilities(
    model: Model, images: Sequence[np.ndarray], questions: Sequence[str], cuts: Cuts
) -> Tensor:
    """The probability of each answer, `[Q K]`, to questions about the same prepared images."""
    return (
        model.system.probabilities(model.system.answer(_batch(model, images, questions, cuts))).float().cpu()
    )


@torch.no_grad()
def written_answers(
    model: Model, images: Sequence[np.ndarray], questions: Sequence[str], cuts: Cuts, top: int
) -> list[list[ImageAnswer]]:
    """The most probable answers to each question of a model that writes them; none is without a word."""
    system, tokenizer = model.system, model.tokenizer
    memory = system.prefill_questions(system.fuse(_batch(model, images, questions, cuts)))
    found = beam_search(
        system,
        memory,
        start=tokenizer.start,
        end=tokenizer.end,
        beam=max(BEAM, top + 1),
        num=top + 1,
        max_tokens=LONGEST,
        length_penalty=0.0,
        banned=tokenizer.never_generated(system.config.vocab_size),
    )
    return [
        [ImageAnswer(tokenizer.decode(one.ids), math.exp(one.logprob)) for one in row if one.ids][:top]
        for row in found
    ]


def _batch(model: Model, images: Sequence[np.ndarray], questions: Sequence[str], cuts: Cuts) -> Batch:
    """Questions about the same prepared images."""
    given: Any = text_input(model)
    items = []
    for question in questions:
        item, lost = given.prepare((question,))
        cuts.add(question, lost)
        items.append(item)
    assert model.image_input is not None
    seen, texts = model.image_input.batch(images), given.batch(items, (0,)).texts
    owner = torch.zeros(len(items), dtype=torch.long)
    return replace(seen, texts=replace(texts, owner=owner)).to(model.device)


def _images(
    images: ImageFiles, model: Model, max_pixels: int, skip: Skip | None
) -> Iterator[tuple[list[str], list[np.ndarray]]]:
    """The files of each question with their prepared pixels."""
    count = getattr(model.system, "num_images", 1)  # who writes answers reads one
    read = read_files(images, lambda path: model.read(path, max_pixels), skip)
    if count == 1:
        yield from (([str(path)], [pixels]) for path, pixels in read)
        return
    files = iter(list(all_files([images] if isinstance(images, Path | str) else images)))
    while some := list(islice(files, count)):
        if len(some) < count:
            raise UsageError(
                f"{model.name} answers questions about {count} images at once: name {count} for each, "
                f"not {counted(len(some), 'image')}"
            )
        try:
            paths = [path for path in some if not isinstance(path, ImageError)]
            if broken := next((path for path in some if isinstance(path, ImageError)), None):
                raise broken
            yield [str(path) for path in paths], [model.read(path, max_pixels) for path in paths]
        except ImageError as error:
            if skip is None:
                raise
            skip(error)
