"""Questions about images: divided, their answers numbered, their images read once and kept."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from showtell.data.batch import ImageBatch
from showtell.data.features import ImageStore
from showtell.data.qa.examples import ImageQuestion
from showtell.data.qa.read import read_examples
from showtell.datasets.caches import log_skipped
from showtell.datasets.qa import divide, read_qa
from showtell.errors import UsageError, UserError
from showtell.wording import counted

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageQuestions:
    """Questions about the same number of images each."""

    training: list[ImageQuestion]
    validation: list[ImageQuestion]
    answers: tuple[str, ...]
    """Those of the training questions alone, sorted."""
    num_images: int

    @property
    def num_training(self) -> int:
        """Training questions."""
        return len(self.training)

    @property
    def exclusive(self) -> bool:
        """Whether each training question has one answer, which is fully right."""
        return all([score for _, score in one.answers] == [1.0] for one in self.training)

    @property
    def hash(self) -> str:
        """SHA-256 of all questions, their answers and the names of their images, in their order."""
        digest = hashlib.sha256()
        for one in [*self.training, None, *self.validation]:
            digest.update(repr(one and (one.key, one.text, one.answers)).encode() + b"\0")
        return digest.hexdigest()


def read_image_questions(data: Path, format: str | None = None, at_least: int = 1) -> ImageQuestions:
    """Questions about images, divided by the rule of all examples; `at_least` training questions per answer.

    Training questions without such an answer are left out, and those of another number of images than most;
    held-out questions whose answer is unknown stay, and count as wrong. Each is logged, counted.
    Raises `UsageError` for questions about something else, `UserError` where nothing is left to train on.
    """
    found = read_qa(data, format)
    training = about_images(found.training, data, found.format)
    validation = about_images(found.validation, data, found.format)
    num_images = Counter(len(one.images) for one in training).most_common(1)[0][0]
    training, validation = (as_many(some, num_images) for some in (training, validation))
    best = Counter(max(one.answers, key=lambda answer: answer[1])[0] for one in training)
    answers = tuple(sorted(answer for answer, count in best.items() if count >= at_least))
    kept = [one for one in training if not set(answers).isdisjoint(one.labels)]
    if not kept or not validation:
        raise UserError(
            f"{data}: no answer is that of {at_least} training questions about as many images; "
            "add questions, or --set at_least=1"
        )
    if lost := len(training) - len(kept):
        logger.warning(
            "%s left out: no answer is among the %d", counted(lost, "training question"), len(answers)
        )
    log_unknown_answers(validation, answers)
    return ImageQuestions(kept, validation, answers, num_images)


def read_split(data: Path, split: str, format: str | None = None) -> list[ImageQuestion]:
    """The questions about images of one split; `val` is what training holds out where no split is called so.

    Raises `UserError` where there are none.
    """
    source = read_examples(data, format)
    if split not in source.splits:
        if split == "val" and all(parts := divide(source.splits)):
            return about_images(parts[1], data, source.format)
        there = ", ".join(name or "questions that name no split" for name in source.splits)
        raise UserError(f"{data} has no questions in the split {split!r}; it has {there}")
    return about_images(source.splits[split], data, source.format)


def as_many(questions: Sequence[ImageQuestion], num_images: int) -> list[ImageQuestion]:
    """Those about `num_images`; the others are logged, counted."""
    kept = [one for one in questions if len(one.images) == num_images]
    if lost := len(questions) - len(kept):
        wanted = counted(num_images, "image")
        logger.warning("%s left out: not about %s, as the others are", counted(lost, "question"), wanted)
    return kept


def log_unknown_answers(questions: Sequence[ImageQuestion], answers: Sequence[str]) -> None:
    """One warning: how many questions have no answer that the model knows; they count as wrong."""
    known = set(answers)
    if unknown := sum(known.isdisjoint(one.labels) for one in questions):
        logger.warning(
            "%s with an answer outside the %d of training: counted as wrong",
            counted(unknown, "question"),
            len(answers),
        )


def about_images(examples: Sequence[object], data: Path, format: str) -> list[ImageQuestion]:
    """The examples, all of which are about images. Raises `UsageError` where some are not."""
    questions = [one for one in examples if isinstance(one, ImageQuestion)]
    if len(questions) < len(examples):
        raise UsageError(f"{data} holds {format}, not questions about images; name other data")
    return questions


@dataclass(frozen=True)
class QuestionImages:
    """Questions whose images are all in a cache."""

    cache: ImageStore
    questions: list[ImageQuestion]
    rows: list[list[int]]
    """The rows of each question's images."""

    def __len__(self) -> int:
        return len(self.questions)

    def images(self, items: Sequence[int]) -> ImageBatch:
        """The images of some questions, those of one question one after the other."""
        rows = [row for item in items for row in self.rows[item]]
        return self.cache.images(rows)

    def scores(self, items: Sequence[int], answers: Sequence[str]) -> Tensor:
        """How right each answer is for some questions, `float32 [R K]`."""
        place = {answer: at for at, answer in enumerate(answers)}
        found = torch.zeros(len(items), len(answers))
        for row, item in enumerate(items):
            for answer, score in self.questions[item].answers:
                if answer in place:
                    found[row, place[answer]] = score
        return found


def load_images(questions: Sequence[ImageQuestion], cache: ImageStore) -> QuestionImages:
    """The images of questions, each read once; questions with one that cannot be read are left out.

    Raises `UserError` where none is left.
    """
    paths = list(dict.fromkeys(path for one in questions for path in one.images))
    found = cache.add(paths)
    log_skipped(found.skipped)
    row_of = dict(zip(paths, found.rows.tolist(), strict=True))
    kept = [one for one in questions if all(row_of[path] >= 0 for path in one.images)]
    if not kept:
        raise UserError(f"none of the {len(paths)} images can be read; showtell data check says why")
    if lost := len(questions) - len(kept):
        logger.warning("%s left out, whose images cannot be read", counted(lost, "question"))
    return QuestionImages(cache, kept, [[row_of[path] for path in one.images] for one in kept])
