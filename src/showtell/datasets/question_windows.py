"""Questions with their passages as a system reads them: in windows, since a passage is longer than that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from showtell.data.batch import Batch, Targets, TextBatch, pad
from showtell.data.images.render.draw import Drawing, Span
from showtell.data.qa.examples import Question
from showtell.data.tokenizers.pieces import Pieces
from showtell.datasets.cuts import shortened
from showtell.datasets.text_inputs import Drawn, TextInput
from showtell.errors import UserError
from showtell.progress import report
from showtell.tasks.passage_answering import Window

CHUNK = 32
"""Windows per forward pass."""
BETWEEN = "\n\n"
"""What makes two blocks of a question and a passage that are drawn."""


@dataclass(frozen=True)
class Asked:
    """A question, tokenized, with the windows of its passage."""

    example: Question
    question: str
    """As far as it is read."""
    question_ids: list[int]
    passage: str
    """As it is tokenized and drawn, letter for letter."""
    ids: list[int]
    offsets: list[Span]
    windows: list[tuple[int, int]]
    """The first and past-the-last token of each."""
    answer: tuple[int, int] | None
    """The first and past-the-last token of the first accepted answer; None without one."""

    @property
    def holding(self) -> list[int]:
        """The windows that hold the whole answer."""
        if self.answer is None:
            return []
        begin, end = self.answer
        return [n for n, (first, last) in enumerate(self.windows) if first <= begin and end <= last]

    def spans(self, number: int) -> list[Span]:
        """The characters of each token of a window."""
        return self.offsets[slice(*self.windows[number])]


class QuestionWindows:
    """Questions on passages; a batch of them has a window of the passage of each."""

    def __init__(self, given: TextInput, longest: int | None = None) -> None:
        """`longest` is the most tokens of an answer that is written; None where it is pointed at."""
        self.given, self.longest = given, longest
        self.limit = given.limit if isinstance(given, Drawn) else given.limit - 3
        """Tokens of a question and a window together, without special ones."""

    def prepare(self, example: Question) -> tuple[Asked, int]:
        """A question with its windows, and how many tokens of it are not read: at most half a limit is.

        Raises `UserError` for an empty passage, and for a text that no font draws, where it is drawn.
        """
        tokenizer = self.given.tokenizer
        question, passage = (re.sub(r"\s", " ", text) for text in (example.question, example.context))
        if tokenizer.lowercase:
            question, passage = lowered(question), lowered(passage)
        asked, told = tokenizer.pieces(question), tokenizer.pieces(passage)
        if not told.ids:
            raise UserError(f"the passage of {shortened(example.question)} is empty")
        kept = min(len(asked.ids), self.limit // 2)
        shown = question[: asked.offsets[kept - 1][1]] if kept else ""
        if isinstance(self.given, Drawn):
            whole = shown + passage
            if not any(font.covers(whole) for font in self.given.fonts):
                raise UserError(self.given.undrawable(whole))
        answer = None
        if example.answers:
            start, text = example.answers[0]
            begins, ends = (np.array(column) for column in zip(*told.offsets, strict=True))
            answer = int((ends <= start).sum()), int((begins < start + len(text)).sum())
        row = Asked(
            example,
            shown,
            asked.ids[:kept],
            passage,
            told.ids,
            told.offsets,
            windows_of(len(told.ids), self.limit - kept),
            answer,
        )
        return row, len(asked.ids) - kept

    def learnable(self, row: Asked) -> bool:
        """Whether the answer is held by a window, and no longer than it may be; or there is none."""
        if row.answer is None:
            return True
        long = self.longest is not None and len(self._answer_pieces(row).ids) > self.longest
        return bool(row.holding) and not long

    @staticmethod
    def choose(row: Asked, generator: np.random.Generator) -> int:
        """A window to train on: half of the time one that holds the answer."""
        holding = row.holding
        others = [number for number in range(len(row.windows)) if number not in holding]
        some = holding if holding and (not others or generator.random() < 0.5) else others
        return some[int(generator.integers(len(some)))]

    def batch(self, items: Sequence[tuple[Asked, int]], seed: tuple[int, ...]) -> Batch:
        """Windows of questions, each with its number; `seed` decides fonts and styles.

        Of tokens, `targets.spans` is the answer. Of images, `texts` are the answers, with start and end, and
        `targets.boxes` where their tokens stand; none is masked.
        """
        if not isinstance(self.given, Drawn):
            return self._tokens(items)
        return self._images(items, self.given.drawings(*self._texts(items), seed))

    def chunks(
        self, rows: Sequence[Asked], device: str = "cpu"
    ) -> Iterator[tuple[Batch, list[tuple[int, Window]]]]:
        """All windows of some questions, each with the question's number; how one is drawn depends on no
        other question.
        """
        every = [(number, place) for number, row in enumerate(rows) for place in range(len(row.windows))]
        for first in range(0, len(every), CHUNK):
            some = every[first : first + CHUNK]
            items = [(rows[number], place) for number, place in some]
            if isinstance(self.given, Drawn):
                drawings = [
                    self.given.drawings(*self._texts([(row, place)]), (0, place))[0] for row, place in items
                ]
                batch = self._images(items, drawings)
            else:
                batch = self._tokens(items)
            asked = [
                (number, Window(row.example.context, row.spans(place), len(row.question_ids) + 2))
                for (number, _), (row, place) in zip(some, items, strict=True)
            ]
            yield batch.to(device), asked
            report("reading windows of passages", first + len(some), len(every))

    def _tokens(self, items: Sequence[tuple[Asked, int]]) -> Batch:
        assert not isinstance(self.given, Drawn)
        pairs = [[row.question_ids, row.ids[slice(*row.windows[place])]] for row, place in items]
        spans = torch.zeros(len(items), 2, dtype=torch.int64)
        for number, (row, place) in enumerate(items):
            if row.answer is not None and place in row.holding:
                shift = len(row.question_ids) + 2 - row.windows[place][0]
                spans[number] = torch.tensor([row.answer[0] + shift, row.answer[1] - 1 + shift])
        return replace(self.given.batch(pairs, ()), targets=Targets(spans=spans))

    def _texts(self, items: Sequence[tuple[Asked, int]]) -> tuple[list[str], list[list[Span]]]:
        """The text to draw of each window, and in it the spans of the answer's tokens."""
        texts, answers = [], []
        for row, place in items:
            begin, end = _drawn_part(row, place)
            texts.append(row.question + BETWEEN + row.passage[begin:end])
            spans: list[Span] = []
            if place in row.holding:
                shift = row.example.answers[0][0] - begin + len(row.question) + len(BETWEEN)
                spans = [(first + shift, last + shift) for first, last in self._answer_pieces(row).offsets]
            answers.append(spans)
        return texts, answers

    def _images(self, items: Sequence[tuple[Asked, int]], drawings: Sequence[Drawing]) -> Batch:
        assert isinstance(self.given, Drawn)
        tokenizer = self.given.tokenizer
        answers = [self._answer_pieces(row).ids if place in row.holding else [] for row, place in items]
        ids, keep = pad([[tokenizer.start, *one, tokenizer.end] for one in answers], tokenizer.pad)
        boxes = torch.full((*ids.shape, 4), torch.nan)
        for number, drawing in enumerate(drawings):
            boxes[number, 1 : 1 + len(drawing.boxes)] = torch.from_numpy(drawing.boxes)
        return replace(
            self.given.images(drawings),
            texts=TextBatch(ids, keep, owner=torch.arange(len(ids))),
            targets=Targets(boxes=boxes, masked=torch.zeros(ids.shape, dtype=torch.bool)),
        )

    def _answer_pieces(self, row: Asked) -> Pieces:
        start, text = row.example.answers[0]
        return self.given.tokenizer.pieces(row.passage[start : start + len(text)])


def lowered(text: str) -> str:
    """A text in lower case, letter for letter: one that would become two stays as it is.

    >>> lowered("İZMİR"), len("İZMİR".lower())
    ('İzmİr', 7)
    """
    return "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)


def windows_of(count: int, room: int) -> list[tuple[int, int]]:
    """The first and past-the-last of `count` tokens in each window of `room`; each shares half with the next.

    >>> windows_of(10, 4), windows_of(3, 4)
    ([(0, 4), (2, 6), (4, 8), (6, 10)], [(0, 3)])
    """
    stride = max(room // 2, 1)
    starts = range(0, max(count - room, 0) + stride, stride)
    return [(first, min(first + room, count)) for first in starts]


def _drawn_part(row: Asked, place: int) -> Span:
    """The first and past-the-last character of a window, without the space before it."""
    spans = row.spans(place)
    begin, end = spans[0][0], spans[-1][1]
    text = row.passage[begin:end]
    return begin + len(text) - len(text.lstrip()), end
