"""What is asked about texts, with the answer: pairs of sentences, questions on a passage, tagged tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from showtell.data.captions.entry import Problem


@dataclass(frozen=True)
class Pair:
    """Whether a premise entails a hypothesis, or how two sentences relate otherwise."""

    premise: str
    hypothesis: str
    label: str

    @property
    def key(self) -> str:
        """What keeps examples on one side of a division: the premise."""
        return self.premise

    @property
    def labels(self) -> Sequence[str]:
        """Its class."""
        return (self.label,)


@dataclass(frozen=True)
class Question:
    """A question whose answer is a span of a passage."""

    id: str
    context: str
    question: str
    answers: tuple[tuple[int, str], ...]
    """The first character of each accepted answer in the passage, and its text; empty where the passage has
    none."""

    @property
    def key(self) -> str:
        """What keeps examples on one side of a division: the passage."""
        return self.context

    @property
    def labels(self) -> Sequence[str]:
        """None: the answer is a span."""
        return ()


@dataclass(frozen=True)
class Tagged:
    """A sentence with a tag per token: entities or parts of speech."""

    tokens: tuple[str, ...]
    tags: tuple[str, ...]

    @property
    def key(self) -> str:
        """What keeps examples on one side of a division: the sentence."""
        return " ".join(self.tokens)

    @property
    def labels(self) -> Sequence[str]:
        """Its tags."""
        return self.tags


Example = Pair | Question | Tagged


@dataclass(frozen=True)
class Source:
    """A data set: its examples by split, and what was skipped."""

    format: str
    splits: dict[str | None, list[Example]]
    """Of `train`, `val`, `test`, and None for files that name no split."""
    problems: list[Problem] = field(default_factory=list)
    """What is wrong, where, and how to fix it; each is an example or more that was skipped."""
    unlabelled: int = 0
    """Examples without an answer by their authors' intention, which are skipped: SNLI's `-`."""
    files: tuple[Path, ...] = ()
    """The files that were read."""
