"""Figures of answers to questions about images."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import torch

from showtell.data.images.decode import ImageError
from showtell.data.qa.answers import normalise_answer
from showtell.data.qa.examples import ImageQuestion
from showtell.datasets.image_questions import as_many, log_unknown_answers, read_split
from showtell.errors import UserError
from showtell.pipelines.ask import (
    answer_probabilities,
    cuts_of,
    named_answers,
    writes_answers,
    written_answers,
)
from showtell.pipelines.model import Model
from showtell.progress import report
from showtell.tasks.image_answers import answer_accuracy
from showtell.wording import counted


def image_answer_figures(
    model: Model, data: Path, split: str, format: str | None = None, strict: bool = False
) -> dict[str, Any]:
    """`accuracy` of the answers to the questions of one split, the mean score of the most probable ones.

    An answer that training did not know counts as wrong; one that is written is spelt as by the official
    evaluation. Raises `UserError` where there are no questions, or with `strict` for one to cut.
    """
    writes = writes_answers(model)
    names = () if writes else named_answers(model)
    found, wanted = read_split(data, split, format), getattr(model.system, "num_images", 1)
    questions = as_many(found, wanted)
    if not questions:
        there = counted(len(found[0].images), "image")
        raise UserError(
            f"{model.name} answers questions about {counted(wanted, 'image')} each; those of {data} in the "
            f"split {split!r} are about {there}: name other data, or another model"
        )
    if not writes:
        log_unknown_answers(questions, names)
    cuts = cuts_of(model, strict)
    about: dict[tuple[Path, ...], list[ImageQuestion]] = defaultdict(list)
    for one in questions:
        about[one.images].append(one)
    gained, unreadable = list[float](), list[str]()
    for done, (paths, asked) in enumerate(about.items(), 1):
        report("answering questions about images", done, len(about))
        try:
            pixels = [model.read(path) for path in paths]
        except ImageError as error:
            unreadable.append(f"{error.path}: {error.reason}")
            continue
        texts = [one.text for one in asked]
        if writes:
            written = written_answers(model, pixels, texts, cuts, 1)
            said = [normalise_answer(some[0].answer) if some else "" for some in written]
        else:
            said = [names[i] for i in answer_probabilities(model, pixels, texts, cuts).argmax(1).tolist()]
        for one, answer in zip(asked, said, strict=True):
            right = {normalise_answer(each) if writes else each: score for each, score in one.answers}
            gained.append(right.get(answer, 0.0))
    if not gained:
        raise UserError(f"none of the images of {data} in the split {split!r} can be read: {unreadable[0]}")
    cuts.log()
    figures = answer_accuracy(torch.tensor(gained)[:, None], torch.zeros(len(gained), dtype=torch.int64))
    counts = {"questions": len(gained), "images": len(about) - len(unreadable), "cut": cuts.count}
    return {"model": model.name, "split": split, **counts, "unreadable": unreadable, **figures}
