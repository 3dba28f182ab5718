"""Questions about images, answered by a model that was trained on them, or by a language model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from showtell.data.batch import Batch, pad
from showtell.data.images.decode import MAX_PIXELS, ImageError
from showtell.datasets.cuts import Cuts
from showtell.datasets.question_conversations import asked_shortly
from showtell.errors import UsageError
from showtell.pairing import AnswerWriter, ImageReader, PairAnswerer
from showtell.pipelines.classify_texts import text_input
from showtell.pipelines.image_files import ImageFiles, Skip, all_files, read_files
from showtell.pipelines.model import Model
from showtell.pipelines.prompt import chat_prompt, read
from showtell.protocols import State
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
    too long is cut, with a warning, or with `strict` refused by a `UserError`, as it always is by a language
    model. Raises `UsageError` for a
    model that answers no questions, an empty question, and one image where the model reads two.

    Example::

        for one in ask("cat.jpg", "what is on the sofa?", load_model("run")):
            print(one.answers[0].answer, one.answers[0].probability)
    """
    if not writes_answers(model):
        named_answers(model)
    if not question.strip():
        raise UsageError("the question is empty; write one")
    cuts = cuts_of(model, strict)
    for paths, pixels in _images(images, model, max_pixels, skip):
        found = best_answers(model, pixels, question, cuts, top)
        yield Asked(paths[0] if len(paths) == 1 else paths, question, found, model.name)
    cuts.log()


def best_answers(
    model: Model, images: Sequence[np.ndarray], question: str, cuts: Cuts, top: int
) -> list[ImageAnswer]:
    """The `top` answers to a question about prepared images. Raises as `ask`."""
    if writes_answers(model):
        return written_answers(model, images, [question], cuts, top)[0]
    names = named_answers(model)
    probable = answer_probabilities(model, images, [question], cuts)[0]
    values, places = probable.topk(min(top, len(names)))
    return [ImageAnswer(names[i], p) for i, p in zip(places.tolist(), values.tolist(), strict=True)]


def writes_answers(model: Model) -> bool:
    """Whether a model writes its answers, rather than to choose one of its training's."""
    return model.can(AnswerWriter) or model.can(ImageReader)


def cuts_of(model: Model, strict: bool) -> Cuts:
    """Counts the questions that are cut, which are none where a language model reads them."""
    limit = model.max_length if model.can(ImageReader) else text_input(model).limit
    return Cuts(limit, f"{model.name} reads", "question", strict)


def named_answers(model: Model) -> Sequence[str]:
    """The answers that a model knows. Raises `UsageError` for one that has none, or none with names."""
    if not model.can(PairAnswerer) or not model.system.class_names:
        raise UsageError(
            f"the model {model.name} answers no questions about images; train one with showtell train "
            "vqa_vilt, or import a BLIP, LLaVA or Qwen-VL, and choose it with --model"
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
    """The most probable answers to each question of a model that writes them; none is without a word.

    A language model is told to answer by a word or a phrase. Raises `TooLongError` for a question that is
    longer, with the images, than it reads.
    """
    system, tokenizer = model.system, model.tokenizer
    if model.can(ImageReader):
        memory, start = _read(model, images, questions)
    else:
        memory = system.prefill_questions(system.fuse(_batch(model, images, questions, cuts)))
        start = tokenizer.start
    found = beam_search(
        system,
        memory,
        start=start,
        end=tokenizer.end,
        beam=max(BEAM, top + 1),
        num=top + 1,
        max_tokens=LONGEST,
        length_penalty=0.0,
        banned=tokenizer.never_generated(system.config.vocab_size),
    )
    return [
        _distinct((tokenizer.decode(one.ids).strip(), math.exp(one.logprob)) for one in row)[:top]
        for row in found
    ]


def _distinct(written: Iterable[tuple[str, float]]) -> list[ImageAnswer]:
    """The answers that are not empty, most probable first; of equal ones the probabilities add up.

    Other tokens may spell the same text. Of texts that differ in case alone the more probable is shown.

    >>> [(one.answer, one.probability) for one in _distinct([("Yes", 0.5), ("no", 0.25), ("yes", 0.125)])]
    [('Yes', 0.625), ('no', 0.25)]
    """
    merged: dict[str, ImageAnswer] = {}
    for text, probability in written:
        if text:
            one = merged.get(text.casefold(), ImageAnswer(text, 0.0))
            merged[text.casefold()] = replace(one, probability=one.probability + probability)
    return sorted(merged.values(), key=lambda one: -one.probability)


def _read(model: Model, images: Sequence[np.ndarray], questions: Sequence[str]) -> tuple[State, int]:
    """The KV cache of each question to a language model but for the last token, `[Q ...]`, and that token.

    What questions begin with, the images, is read once.
    """
    encoded = model.encode(images)
    prompts = [
        chat_prompt([{"role": "user", "content": asked_shortly(one, len(images))}], model, LONGEST, encoded)
        for one in questions
    ]
    columns = enumerate(zip(*(prompt.ids[:-1] for prompt in prompts), strict=False))
    shortest = min(len(prompt.ids) - 1 for prompt in prompts)
    begun = next((place for place, ids in columns if len(set(ids)) > 1), shortest)
    state = read(prompts[0]._replace(ids=prompts[0].ids[: begun + 1]), model)
    state = {name: part.expand(len(prompts), *part.shape[1:]) for name, part in state.items()}
    rest = [prompt.ids[begun:-1] for prompt in prompts]
    if any(rest):
        ids, keep = (part.to(model.device) for part in pad(rest, model.tokenizer.pad))
        _, state = model.system.extend(state, ids, keep)
    return state, prompts[0].ids[-1]


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
