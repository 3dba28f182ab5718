"""Materials from the labels of a page's words: words become values, values become materials."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from showtell.data.documents.labelled import Material
from showtell.data.documents.materials import KIND, LONGEST_FIELD, MATERIALS
from showtell.tasks.page_words import CJK, Page, Word
from showtell.tasks.word_labels import CONTINUED, NONE, label

GAP = 2
"""Words of another label that a value may hold within a line."""
BELOW = 2.5
"""Heights of a line within which the next line of a value begins."""
ENOUGH = 2
"""Fields that make a material whose name is not printed."""
BESIDE = 3
"""Characters between two pieces of a value in one row, at most."""
LEAST = 0.05
"""The probability above which the best word of a field that no word has as its best label is taken."""


@dataclass(frozen=True)
class _Value:
    """A value and where it begins."""

    text: str
    score: float
    """The sum of its words' probabilities."""
    first: Word


def materials_of(page: Page, probabilities: Float[np.ndarray, "W K"], names: Sequence[str]) -> list[Material]:
    """The materials of a page by the probability of each label for each of its words.

    A kind is there where its name is printed, or two of its fields are best labels. Where its name is
    printed more than once, each is one material, to which the values below and nearest to it belong.
    Materials come in the order in which they begin on the page.
    """
    if not len(probabilities):
        return []
    plain = [name.removesuffix(CONTINUED) for name in names]
    fields = list(dict.fromkeys(plain))
    member = np.array([[name == one for one in fields] for name in plain], np.float64)
    later = probabilities @ np.array([name.endswith(CONTINUED) for name in names], np.float64)
    tagged = _Tagged(page, probabilities @ member, later, fields)
    seen = [fields[i].partition("/") for i in set(tagged.best.tolist())]
    counts = Counter(kind for kind, _, field in seen for _ in range(ENOUGH if field == KIND else 1))
    present = [kind for kind, count in counts.items() if count >= ENOUGH and kind != NONE]
    found: list[tuple[int, Material]] = []
    for kind in present:
        values = {
            field: [*tagged.values(fields.index(label(kind, field)))]
            for field in (KIND, *_fields(kind, fields))
            if label(kind, field) in fields
        }
        anchors = [value.first for value in values.pop(KIND, [])]
        groups: list[dict[str, _Value]] = [{} for _ in range(len(anchors) or 1)]
        for field, some in values.items():
            for value in some:
                group = groups[_nearest(anchors, value.first, page.line_height)]
                if field not in group or group[field].score < value.score:
                    group[field] = value
        for number, group in enumerate(groups):
            if group:
                begins = [value.first for value in group.values()] + anchors[number : number + 1]
                texts = {field: group[field].text for field in values if field in group}
                first = min(page.words.index(word) for word in begins)
                found.append((first, {KIND: kind, **texts}))
    return [material for _, material in sorted(found, key=lambda one: one[0])]


def _fields(kind: str, labels: Sequence[str]) -> Sequence[str]:
    """The fields of a kind: in their usual order, then that of the labels."""
    own = [name.partition("/")[2] for name in labels if name.partition("/")[0] == kind]
    return [name for name in dict.fromkeys([*MATERIALS.get(kind, ()), *own]) if name != KIND]


def _nearest(anchors: Sequence[Word], word: Word, line: float) -> int:
    """The place of the title nearest to a word: of those above it or in its line, if there are any."""
    far = [
        (word.middle < one.middle - line, (word.left - one.left) ** 2 + (word.middle - one.middle) ** 2)
        for one in anchors
    ]
    return far.index(min(far)) if far else 0


@dataclass(frozen=True)
class _Tagged:
    """A page with the probability of each field for each of its words."""

    page: Page
    probabilities: Float[np.ndarray, "W F"]
    later: Float[np.ndarray, " W"]
    """The probability that a word is in a second or later line of a value."""
    fields: Sequence[str]

    @cached_property
    def best(self) -> np.ndarray:
        """The most probable field of each word, `[W]`."""
        return self.probabilities.argmax(1)

    def values(self, column: int) -> Iterator[_Value]:
        """The values of a field: pieces of lines, with those that continue them."""
        joined: list[list[list[int]]] = []
        for piece in self._pieces(column):
            continues = self.later[piece].mean() > self.probabilities[piece, column].mean() / 2
            before = next((one for one in reversed(joined) if _follows(self.page, one[-1], piece)), None)
            same_row = before and self.page.words[before[-1][-1]].row == self.page.words[piece[0]].row
            if before is not None and (continues or same_row):
                before.append(piece)
            else:
                joined.append([piece])
        for one in joined:
            text = ""
            for piece in one:
                first, last = self.page.words[piece[0]], self.page.words[piece[-1]]
                part = self.page.texts[first.line][first.start : last.end].strip(" :：")
                unspaced = re.search(f"[{CJK}]$", text) and re.match(f"[{CJK}0-9]", part)
                text += ("" if unspaced or not text else " ") + part
            score = sum(float(self.probabilities[i, column]) for piece in one for i in piece)
            if text:
                yield _Value(text[:LONGEST_FIELD], score, self.page.words[one[0][0]])

    def _pieces(self, column: int) -> list[list[int]]:
        """Runs of words of one line whose best field this is, or the most probable word alone."""
        chosen = np.flatnonzero(self.best == column).tolist()
        if not chosen and self.probabilities[:, column].max() > LEAST:
            chosen = [int(self.probabilities[:, column].argmax())]
        pieces: list[list[int]] = []
        for i in chosen:
            last = pieces[-1][-1] if pieces else -GAP - 2
            if i - last <= GAP + 1 and self.page.words[i].line == self.page.words[last].line:
                pieces[-1] += range(last + 1, i + 1)
            else:
                pieces.append([i])
        return pieces


def _follows(page: Page, before: Sequence[int], piece: Sequence[int]) -> bool:
    """Whether a piece continues with a value: in the same row, or in one of the next lines and below it."""
    start, end = page.words[before[0]], page.words[before[-1]]
    first, last = page.words[piece[0]], page.words[piece[-1]]
    if first.row == end.row:
        character = (end.right - end.left) / max(len(end.text), 1)
        return piece[0] - before[-1] <= GAP + 1 and first.left - end.right <= BESIDE * character
    below = 0 < first.middle - end.middle <= BELOW * page.line_height * max(end.height, first.height)
    return below and first.left < end.right and last.right > start.left
