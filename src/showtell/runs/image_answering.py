"""An image-answering run: questions about images in, a system that answers them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import nn

from showtell.checkpoint.card import CardFacts
from showtell.data.batch import Batch, Targets
from showtell.data.sampler import Sampler
from showtell.datasets.cuts import Cuts, log_cuts
from showtell.datasets.image_questions import (
    ImageQuestions,
    QuestionImages,
    load_images,
    read_image_questions,
)
from showtell.datasets.text_inputs import TextInput
from showtell.errors import UsageError
from showtell.pairing import PairAnswerer
from showtell.protocols import Trainable
from showtell.runs.finetuning import few_epochs, prepared, started
from showtell.runs.image_source import OTHER_FEATURES, fit_of, image_source, require_images
from showtell.runs.job import Job, SystemConfig, require, sketch
from showtell.tasks.image_answers import answer_accuracy, answer_logits, without_images
from showtell.train.config import TrainConfig
from showtell.wording import counted, listed

KIND = "image-answering"
CHUNK = 64
"""Questions of one batch of a validation."""
STATED = ("true", "false")
"""The answers to a statement."""
MEANING = {
    "accuracy": "mean score of the answers, which is the official accuracy where ten people answered",
    "accuracy_se": "standard error of the accuracy",
    "loss": "cross-entropy per question",
}


def answering_training(num_questions: int) -> TrainConfig:
    """Nine epochs, validated ten times; the best parameters are kept; in bf16 where the device has units for
    it.

    At twice this learning rate, four layers for as long stayed at 0.88 of easy-VQA's held-out questions; six
    at this one reached 0.96 (LOG.md).
    """
    train = few_epochs(num_questions)
    batch = 64
    steps = max(3 * train.steps * train.batch_size // batch, 300)
    return replace(
        train,
        steps=steps,
        batch_size=batch,
        learning_rate=5e-4,
        warmup_steps=steps // 5,
        precision="auto",
        validate_every=max(steps // 10, 1),
    )


@dataclass(frozen=True)
class ImageAnsweringRun:
    """Fine-tunes a system that answers questions about one image or two."""

    trains_on: ClassVar = "questions about images"

    system: SystemConfig
    """Its answers are those of the data, its sizes those of `model`."""
    train: TrainConfig
    model: str = ""
    """The checkpoint to start from; empty: from scratch."""
    statements: bool = False
    """Whether each text is a statement that is true or false; other answers are refused."""
    at_least: int = 1
    """Training questions that an answer must have to be learnt."""
    backbone: str = "efficientnet_lite0"
    """The frozen image encoder in front of the system, where that reads features."""
    regions: Path | None = None
    """A file of regions that a detector found, in place of the backbone, where the system reads regions."""
    keep_ratio: bool = False
    """Keep the aspect ratio of images, the shorter side at `image_size`, if the system reads several sizes;
    what starts from a model that keeps it does so too."""

    def _shape(self) -> nn.Module:
        """The system without parameters."""
        system = sketch(self.system, KIND, Trainable, PairAnswerer)
        require(hasattr(self.system, "with_images"), KIND, system, "its number of images is fixed")
        return system

    def read(self, data: Path, format: str | None = None) -> ImageQuestions:
        """Questions, statements or hypotheses about images, in any format of `data/qa`."""
        shape = self._shape()
        require_images(KIND, shape, self.backbone, self.regions)
        fit_of(KIND, shape, self.keep_ratio)
        found = read_image_questions(data, format, self.at_least)
        others = [one for one in found.answers if one.lower() not in STATED]
        if self.statements and others:
            raise UsageError(
                f"{data} holds no statements that are true or false: its answers are {listed(others, 3)}; "
                "train on its questions by vqa_vilt"
            )
        return found

    def prepare(self, dataset: ImageQuestions, device: str) -> Job:
        """Images, questions and the system; beside its accuracy stands that of answers without images."""
        config: Any = self.system
        if getattr(self._shape(), "reads", "") != "pixels":
            config = image_source(KIND, self._shape(), self.backbone, device, regions=self.regions).system
        config = config.with_images(dataset.num_images, dataset.exclusive)
        texts = (one.text for one in dataset.training)
        names = dataset.answers
        start = started(config, self.model, names, texts, self.train.seed, Trainable, PairAnswerer)
        fit = fit_of(KIND, start.system, self.keep_ratio, start.version)
        source = image_source(KIND, start.system, self.backbone, device, regions=self.regions, fit=fit)
        if source.system != start.config:
            raise UsageError(f"--model {self.model} was trained on other features; {OTHER_FEATURES}")
        run, given = replace(self, system=start.config), start.given
        parts = {"training": dataset.training, "validation": dataset.validation}
        loaded = {name: load_images(some, source.cache) for name, some in parts.items()}
        cuts = {name: Cuts(given.limit, "fine-tuning reads", "question") for name in parts}
        asked = {
            name: prepared(given.prepare, [(one.text,) for one in some.questions], cuts[name], " ".join).items
            for name, some in loaded.items()
        }
        log_cuts(cuts)
        training, validation = loaded["training"], loaded["validation"]
        sampler = Sampler(len(training), run.train.batch_size, run.train.seed)

        def load_batch(index: int) -> Batch:
            chosen = sampler(index)
            batch = batch_of(training, chosen, asked["training"], given)
            return replace(batch, targets=Targets(scores=training.scores(chosen, names))).to(device)

        truth = validation.scores(range(len(validation)), names)
        blind = without_images(
            [one.text for one in training.questions],
            training.scores(range(len(training)), names),
            [one.text for one in validation.questions],
            truth,
        )
        about = f"{len(training)} training and {len(validation)} held-out questions"
        return Job(
            run,
            start.system,
            load_batch,
            describe=lambda index: f"questions {', '.join(map(str, sampler(index)))}",
            data={
                "hash": dataset.hash,
                **start.facts,
                "train": len(training),
                "val": len(validation),
                "answers": len(names),
                **blind,
            },
            about=f"{about} about {counted(dataset.num_images, 'image')} each with {len(names)} answers "
            f"(without images: always the most frequent {blind['majority']:.3f}, by the question's words "
            f"{blind['question_alone']:.3f}), {start.about}",
            card=CardFacts(
                {
                    "training questions": f"{len(training):,}",
                    "held-out questions": f"{len(validation):,}",
                    "images per question": str(dataset.num_images),
                    "answers": f"{len(names):,}",
                    "fine-tuned": start.about,
                    "accuracy of always the most frequent answer": f"{blind['majority']:.3f}",
                    "accuracy of the question alone, by its words": f"{blind['question_alone']:.3f} "
                    f"± {blind['question_alone_se']:.3f}",
                },
                MEANING,
                source.sources,
                more='`showtell ask IMAGE... "question" --model` this folder.',
            ),
            validate=lambda module: measure(module, validation, asked["validation"], given, truth, device),
            tokenizer_json=given.tokenizer.to_json(),
            preprocess={**source.preprocess, **start.preprocess},
            cuts=tuple(cuts.values()),
        )


def batch_of(loaded: QuestionImages, items: Sequence[int], asked: Sequence[Any], given: TextInput) -> Batch:
    """Some questions with their images, without targets."""
    batch = given.batch([asked[item] for item in items], (0,))
    first = torch.arange(len(items)) * len(loaded.rows[items[0]])
    return Batch(loaded.images(items), replace(batch.texts, owner=first))


def measure(
    system: nn.Module,
    loaded: QuestionImages,
    asked: Sequence[Any],
    given: TextInput,
    truth: torch.Tensor,
    device: str = "cpu",
) -> dict[str, float]:
    """`accuracy` with its standard error, and `loss`."""
    batches = (
        batch_of(loaded, range(first, min(first + CHUNK, len(loaded))), asked, given).to(device)
        for first in range(0, len(loaded), CHUNK)
    )
    logits = answer_logits(cast(PairAnswerer, system), batches)
    loss = float(cast(Any, system).answer_loss(logits, truth))
    return {**answer_accuracy(truth, logits.argmax(1)), "loss": loss}
