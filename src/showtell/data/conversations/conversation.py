"""Conversations: messages in turn, with the images that they show."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

from showtell.data.captions.entry import Problem
from showtell.data.tokenizers.chat import ANSWERS, IMAGE

Role = Literal["system", "user", "assistant", "tool", "function"]
ROLES: tuple[Role, ...] = get_args(Role)


class Fault(ValueError):
    """What is wrong with one record, and how to fix it."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what, self.fix = what, fix


@dataclass(frozen=True)
class Message:
    """One turn."""

    role: Role
    content: str

    @property
    def answers(self) -> bool:
        """Whether the model speaks; as `function` it writes a call."""
        return self.role in ANSWERS


@dataclass(frozen=True)
class Conversation:
    """Questions and answers in turn, after at most one system message; the last message is an answer."""

    messages: tuple[Message, ...]
    images: tuple[Path, ...] = ()
    """One for each `<image>` in the messages, in that order."""
    split: str | None = field(default=None, compare=False)
    """`train`, `val`, `test`, or None where its file's name says none."""
    where: str = field(default="", compare=False)
    """Its file, record and line, for messages."""

    @property
    def key(self) -> str:
        """What keeps conversations on one side of a division: their images, else what is said."""
        if self.images:
            return "\n".join("/".join(path.parts[-2:]) for path in self.images)
        return "\n".join(f"{one.role}: {one.content}" for one in self.messages)


@dataclass(frozen=True)
class Source:
    """A data set of conversations, and what is wrong with it."""

    format: str
    conversations: list[Conversation]
    problems: list[Problem]
    """Each is a record that was skipped, or a file."""
    files: tuple[Path, ...]
    schema: dict[str, Any] | None = None
    """What all answers keep, where they are documents."""


def require_order(messages: list[Message], images: int) -> None:
    """Raises `Fault` unless questions and answers take turns and each `<image>` has its image."""
    marks = [one.content.count(IMAGE) for one in messages]
    answered = next((n for n, one in enumerate(messages) if one.answers and marks[n]), None)
    if answered is not None:
        fix = "only questions show images: write <image> in the question, or delete it"
        raise Fault(f"message {answered + 1}, an answer, contains <image>", fix)
    if images != sum(marks):
        fix = "write <image> where each image stands, and one file per <image> under images"
        raise Fault(f"{sum(marks)} <image> in the messages and {images} in images", fix)
    turns = messages[1:] if messages[:1] and messages[0].role == "system" else messages
    for number, one in enumerate(turns, len(messages) - len(turns) + 1):
        if one.role == "system":
            raise Fault(f"message {number} is the system's", "put it first: a system message opens")
        if not one.content.strip():
            raise Fault(
                f"message {number}, of the {one.role}, is empty", "write its text, or delete both turns"
            )
    if not turns or not turns[-1].answers:
        last = turns[-1].role if turns else "missing"
        raise Fault(f"the last message is {last}", "end with the assistant's answer")
    if turns[0].answers:
        raise Fault(f"the first message is the {turns[0].role}'s", "begin with the user's question")
    for before, after in pairwise(turns):
        if before.answers == after.answers:
            fix = "let questions and answers alternate: join the two, or delete one"
            raise Fault(f"{before.role} and {after.role} follow one another", fix)
