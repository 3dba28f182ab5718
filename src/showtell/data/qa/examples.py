"""What is asked about texts and images, with the answer: pairs, questions, tagged tokens, statements."""

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


@dataclass(frozen=True)
class ImageQuestion:
    """A question about images, a statement that may be true of them, or one that they may entail."""

    images: tuple[Path, ...]
    """One, or two where the text is about both."""
    text: str
    answers: tuple[tuple[str, float], ...]
    """Each accepted answer, or the class of the statement, with its score in 0..1."""
    split: str | None = None
    """`train`, `val` or `test` where its row says; else the file's."""

    @property
    def key(self) -> str:
        """What keeps examples on one side of a division: the images, by their folders and names."""
        return "\n".join("/".join(path.parts[-2:]) for path in self.images)

    @property
    def labels(self) -> Sequence[str]:
        """Its answers."""
        return [answer for answer, _ in self.answers]


Example = Pair | Question | Tagged | ImageQuestion


def images_of(example: Example) -> tuple[Path, ...]:
    """The images that an example is about; none for one of texts."""
    return example.images if isinstance(example, ImageQuestion) else ()


def unknown_answers(source: Source) -> int:
    """Questions outside `train` whose answers no question of it has: a model of these cannot give them."""
    known = {label for one in source.splits.get("train", ()) for label in one.labels}
    asked = (one for split, some in source.splits.items() if split in ("val", "test") for one in some)
    return sum(not known.intersection(one.labels) for one in asked if images_of(one)) if known else 0


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
