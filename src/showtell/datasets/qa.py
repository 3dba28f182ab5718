"""Examples of questions about texts, divided into training and validation."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from showtell.data.qa.examples import Example
from showtell.data.qa.read import read_examples
from showtell.datasets.division import held_out, parted
from showtell.errors import UserError
from showtell.wording import counted, listed

logger = logging.getLogger(__name__)

SHARE = 0.1
"""Of examples without named splits, the share that is held out."""


@dataclass(frozen=True)
class Examples:
    """Training and validation examples of one format."""

    format: str
    training: list[Example]
    validation: list[Example]

    @property
    def num_training(self) -> int:
        """Training examples."""
        return len(self.training)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes or tags, sorted; empty for questions."""
        return tuple(sorted(_labels(self.training) | _labels(self.validation)))

    @property
    def hash(self) -> str:
        """SHA-256 of all examples in their order."""
        digest = hashlib.sha256()
        for example in [*self.training, None, *self.validation]:
            digest.update(repr(example).encode() + b"\0")
        return digest.hexdigest()


def read_qa(path: Path, format: str | None = None) -> Examples:
    """The examples of a file or folder; the split `val` validates, or else a share of `train`.

    Examples of one premise, passage or sentence stay on one side: those of `val` that training reads too are
    left out. What is skipped or left out is logged, counted. Raises `UserError` where nothing is left to
    train or validate on.
    """
    source = read_examples(path, format)
    if source.problems:
        many, first = counted(len(source.problems), "problem"), source.problems[0]
        logger.warning("%s, each skipped (showtell data check lists them); the first: %s", many, first)
    if source.unlabelled:
        logger.info("%s without a label skipped", counted(source.unlabelled, "example"))
    if tested := source.splits.get("test"):
        logger.info("%s of the split test not read", counted(len(tested), "example"))
    training, validation = divide(source.splits)
    if not training or not validation:
        raise UserError(
            f"{path}: {counted(len(training), 'example')} to train on and {len(validation)} to validate on; "
            "add examples, or files called train and val"
        )
    if len(validation) > len(training):
        logger.warning(
            "%s to validate on, more than the %d to train on; add examples, or files called train and val",
            *(counted(len(validation), "example"), len(training)),
        )
    if unknown := _labels(validation) - _labels(training):
        logger.warning("no training example has the label %s", listed(sorted(unknown)))
    return Examples(source.format, training, validation)


def divide(splits: Mapping[str | None, Sequence[Example]]) -> tuple[list[Example], list[Example]]:
    """What is trained on, and what validates it: the split `val`, or else a share of `train`."""
    training = list(splits.get("train") or splits.get(None) or ())
    if "val" in splits:
        return training, _unseen(splits["val"], training)
    held = held_out([one.key.encode("utf-8", "surrogatepass") for one in training], SHARE)
    return parted(training, held)


def _labels(examples: Sequence[Example]) -> set[str]:
    return {label for example in examples for label in example.labels}


def _unseen(validation: Sequence[Example], training: Sequence[Example]) -> list[Example]:
    known = {example.key for example in training}
    kept = [example for example in validation if example.key not in known]
    if len(kept) < len(validation):
        both = counted(len(validation) - len(kept), "example")
        logger.warning("%s of the split val left out: training reads the same text", both)
    return kept
