"""A passage-answering run: questions on passages in, a system that answers them out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from torch import nn

from showtell.checkpoint.card import CardFacts
from showtell.data.batch import Batch
from showtell.data.qa.examples import Question
from showtell.data.sampler import Sampler
from showtell.datasets.cuts import Cuts, log_cuts
from showtell.datasets.qa import Examples, read_qa
from showtell.datasets.question_windows import Asked, QuestionWindows
from showtell.datasets.text_inputs import Drawn
from showtell.errors import UsageError, UserError
from showtell.protocols import Captioner, Trainable
from showtell.runs.finetuning import prepared, started
from showtell.runs.job import Job, SystemConfig, require, sketch
from showtell.tasks.answer_figures import UNIT, answer_figures
from showtell.tasks.passage_answering import SpanPointer, best_answers
from showtell.train.config import TrainConfig
from showtell.wording import counted

logger = logging.getLogger(__name__)

MEANING = {
    "exact": "answers equal to an accepted one, but for case, punctuation and articles",
    "exact_se": "standard error of that",
    "f1": "F1 of an answer's words, the mean over the questions",
    "f1_se": "standard error of the F1",
}


@dataclass(frozen=True)
class PassageAnsweringRun:
    """Fine-tunes a system that answers questions on passages, which it reads as tokens or as images."""

    trains_on: ClassVar = "questions on passages"

    system: SystemConfig
    """Its sizes are those of `model`."""
    train: TrainConfig
    model: str = ""
    """The checkpoint to start from; empty: from scratch."""

    def read(self, data: Path, format: str | None = None) -> Examples:
        """Questions with their passages and answers, as SQuAD writes them."""
        found = read_qa(data, format or "squad")
        if not all(isinstance(one, Question) for one in found.training):
            raise UsageError(f"{data} holds {found.format}, not questions on passages; leave out --format")
        return found

    def prepare(self, dataset: Examples, device: str) -> Job:
        """Passages in windows as the system reads them; held-out ones are read after the last step."""
        kind = "passage-answering"
        shape = sketch(self.system, kind, Trainable)
        fits = isinstance(shape, (SpanPointer, Captioner)) and hasattr(self.system, "abstains")
        require(fits, kind, shape, "it neither points at an answer nor writes one")
        training, held_out = (cast(list[Question], one) for one in (dataset.training, dataset.validation))
        abstains = not all(one.answers for one in training)
        config: Any = replace(cast(Any, self.system), abstains=abstains)
        texts = dict.fromkeys(text for one in training for text in (one.context, one.question))
        start = started(config, self.model, (), texts, self.train.seed)
        run = replace(self, system=start.config)
        longest = start.config.max_length - 2 if isinstance(start.given, Drawn) else None
        reader = QuestionWindows(start.given, longest)
        cuts = {
            name: Cuts(reader.limit // 2, "fine-tuning reads", "question")
            for name in ("training", "validation")
        }
        found, tested = (
            prepared(reader.prepare, some, cut, lambda one: one.question).items
            for some, cut in zip((training, held_out), cuts.values(), strict=True)
        )
        log_cuts(cuts)
        rows = [row for row in found if reader.learnable(row)]
        if lost := len(found) - len(rows):
            why = "longer than a window, or than the system writes"
            logger.warning("%s of %d left out: the answer is %s", counted(lost, "question"), len(found), why)
        if not rows:
            raise UserError("no question has an answer that the system can give; raise system.drawn_tokens")
        sampler = Sampler(len(rows), run.train.batch_size, run.train.seed)

        def load_batch(index: int) -> Batch:
            generator = np.random.default_rng((run.train.seed, index))
            items = [(rows[i], reader.choose(rows[i], generator)) for i in sampler(index)]
            return reader.batch(items, (run.train.seed, index)).to(device)

        chance = random_figures(rows, tested, run.train.seed)
        windows = sum(len(row.windows) for row in tested) / len(tested)
        return Job(
            run,
            start.system,
            load_batch,
            describe=lambda index: f"questions {', '.join(map(str, sampler(index)))}",
            data={
                "hash": dataset.hash,
                **start.facts,
                "train": len(rows),
                "val": len(tested),
                "windows": windows,
                "chance": chance["exact"],
                "chance_f1": chance["f1"],
            },
            about=f"{len(rows)} training and {len(tested)} held-out questions, {windows:.1f} windows per "
            f"passage, {start.about}",
            card=CardFacts(
                {
                    "training questions": f"{len(rows):,}",
                    "held-out questions": f"{len(tested):,}",
                    "fine-tuned": start.about,
                    "question and window": f"{reader.limit} tokens",
                    "windows per passage": f"{windows:.1f}",
                    "F1 of a random span as long as a training answer": f"{chance['f1']:.3f}",
                },
                MEANING,
                more="It answers questions on a passage (`showtell answer`).",
            ),
            validate=lambda module: measure(module, reader, tested, device),
            tokenizer_json=start.given.tokenizer.to_json(),
            preprocess=start.preprocess,
            cuts=tuple(cuts.values()),
        )


def measure(
    system: nn.Module, reader: QuestionWindows, rows: Sequence[Asked], device: str
) -> dict[str, float]:
    """`exact` and `f1` with their standard errors; texts are always drawn alike."""
    answers = best_answers(system, reader.given.tokenizer, reader.chunks(rows, device))
    abstains = cast(Any, system).config.abstains
    said = ["" if abstains and answer.log_odds < 0 else answer.text for answer in answers]
    return answer_figures(_accepted(rows), said)


def random_figures(training: Sequence[Asked], tested: Sequence[Asked], seed: int) -> dict[str, float]:
    """The figures of random spans of the passages, with as many words as random training answers have."""
    generator = np.random.default_rng(seed)
    lengths = [len(UNIT.findall(row.example.answers[0][1])) if row.answer else 0 for row in training]
    said = []
    for row in tested:
        units = [*UNIT.finditer(row.example.context)]
        length = min(int(generator.choice(lengths)), len(units))
        first = int(generator.integers(len(units) - length + 1))
        span = units[first : first + length]
        said.append(row.example.context[span[0].start() : span[-1].end()] if span else "")
    return answer_figures(_accepted(tested), said)


def _accepted(rows: Sequence[Asked]) -> list[list[str]]:
    return [[text for _, text in row.example.answers] for row in rows]
