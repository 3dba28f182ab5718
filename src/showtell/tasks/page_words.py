"""The words of a page in reading order, and the features by which a tagger tells them apart.

Features are names such as `left=total` or `shape=00.00`, hashed to ids: no vocabulary is kept, so none of the
training texts is either.

Source: Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning".
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from showtell.tasks.text_boxes import Boxes, text_rows, upright

CJK = r"\u3040-\u30ff\u3400-\u9fff"
_BORDER = re.compile(
    rf"\s+|(?<=[^\d\s][:：])(?=\S)|(?<=[A-Za-z]{{2}}\.)(?=\w)"
    rf"|(?<=[{CJK}])(?=[A-Za-z0-9])|(?<=[A-Za-z0-9])(?=[{CJK}])|(?<=[A-Za-z$¥￥])(?=\d[\d,]*\.\d\d\b)"
)
"""Between two words: blanks, after a colon or a full stop, between scripts, before an amount."""
AMOUNT = re.compile(r"\W*\d{1,3}(,?\d{3})*\.\d\d\W*")
DATE = re.compile(
    r"\d{1,4}[-/.年]\d{1,2}[-/.月]\d{2,4}|\d\W?(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)", re.I
)
NEAR = 3
"""Words on either side that a word's features name."""
TALL = 1.35
"""How much taller than the next row a title is."""
ROUNDING = 1e-6
"""So that a page that is turned has the same places."""
PAD = 0


@dataclass(frozen=True)
class Word:
    """A word of a page."""

    text: str
    line: int
    """The place of its line among those of the page."""
    start: int
    end: int
    """Its characters in the line."""
    number: int
    """Its place among the words of its line."""
    row: int
    """The row of the page, from the top."""
    left: float
    right: float
    middle: float
    """Of its height, from the top. All in shares of the extent of the text."""
    height: float
    """Of the line, in shares of the median line's height."""


def spans(text: str) -> list[tuple[int, int]]:
    """The first and past-last character of each word of a line.

    >>> line = "Date:25/12/2018 8:13"
    >>> [line[start:end] for start, end in spans(line)]
    ['Date:', '25/12/2018', '8:13']
    >>> [("税号：91A" + "公司RM9.00")[start:end] for start, end in spans("税号：91A公司RM9.00")]
    ['税号：', '91A', '公司', 'RM', '9.00']
    """
    found, place = [], 0
    for border in _BORDER.finditer(text):
        if border.start() > place:
            found.append((place, border.start()))
        place = max(place, border.end())
    return found + ([(place, len(text))] if place < len(text) else [])


@dataclass(frozen=True)
class Page:
    """The lines of a page and their words in reading order."""

    texts: Sequence[str]
    boxes: Boxes

    @cached_property
    def words(self) -> list[Word]:
        """Row after row."""
        if not len(self.boxes):
            return []
        placed = upright(self.boxes)
        low, high = placed.min((0, 1)), placed.max((0, 1))
        placed = (placed - low) / np.maximum(high - low, 1.0)
        heights = np.linalg.norm(self.boxes[:, 3] - self.boxes[:, 0], axis=1)
        heights = heights / max(float(np.median(heights)), 1.0)
        found = []
        for row, lines in enumerate(text_rows(self.boxes)):
            for line in lines:
                text, (left, middle) = self.texts[line], (placed[line, :, 0].min(), placed[line, :, 1].mean())
                unit = (placed[line, :, 0].max() - left) / max(len(text), 1)
                for number, (start, end) in enumerate(spans(text)):
                    x = (float(left + unit * start), float(left + unit * end), float(middle))
                    place = (line, start, end, number, row)
                    found.append(Word(text[start:end], *place, *x, float(heights[line])))
        return found

    @cached_property
    def line_height(self) -> float:
        """Of the median line, in shares of the extent of the text."""
        if not len(self.boxes):
            return 1.0
        heights = np.linalg.norm(self.boxes[:, 3] - self.boxes[:, 0], axis=1)
        extent = float(np.ptp(upright(self.boxes)[..., 1]))
        return float(np.median(heights)) / max(extent, 1.0)

    def features(self, buckets: int) -> list[list[int]]:
        """The hashed features of each word, ids from 1 to `buckets - 1`."""
        return [
            sorted({1 + zlib.crc32(name.encode()) % (buckets - 1) for name in names})
            for names in self._named()
        ]

    def _named(self) -> Iterator[list[str]]:
        """The features of each word by name."""
        words = self.words
        plain, shapes = [_plain(word.text) for word in words], [_shape(word.text) for word in words]
        rows: dict[int, list[int]] = {}
        lines: dict[int, list[int]] = {}
        for i, word in enumerate(words):
            rows.setdefault(word.row, []).append(i)
            lines.setdefault(word.line, []).append(i)
        rank = {line: place for place, line in enumerate(lines)}
        titles, labels = self._titles(), self._labels()
        amounts = [_amount(word.text) for word in words]
        counts = Counter(value for value in amounts if value is not None)
        largest = {value: place for place, value in enumerate(sorted(counts, reverse=True))}
        for i, word in enumerate(words):
            text = plain[i]
            own = [f"word={text}", f"shape={shapes[i]}", f"date={bool(DATE.search(word.text))}"]
            own += [f"begins={text[:3]}", f"ends={text[-3:]}"]
            own += [f"part={text[k : k + 3]}" for k in range(len(text) - 2)]
            own += [f"part={text[k : k + 2]}" for k in range(len(text) - 1) if re.match(f"[{CJK}]", text[k])]
            own += self._near(i, plain, shapes)
            for step in (-2, -1, 1, 2):
                there = rows.get(word.row + step)
                own += [f"row{step}={plain[k]}" for k in there[:8]] if there else [f"row{step}=none"]
            for k in rows[word.row]:
                if k != i:
                    own.append(f"{'left' if k < i else 'right'}={plain[k]}")
                    own += [f"amount left={plain[k]}"] if k < i and amounts[i] is not None else []
            own += [f"line={plain[k]}" for k in lines[word.line]]
            own += [*titles[word.row], f"label={labels[i]}"]
            head = self.texts[word.line][:12]
            own += [f"head={head[:size]},{min(word.number, 3)}" for size in (2, 4)]
            line = self.texts[word.line]
            own.append(f"digits={round(4 * sum(map(str.isdigit, line)) / len(line))}")
            own.append(
                f"capitals={round(4 * sum(map(str.isupper, line)) / max(sum(map(str.isalpha, line)), 1))}"
            )
            own += [f"number={min(word.number, 5)}", f"words={min(len(lines[word.line]), 8)}"]
            place, tall = min(rank[word.line], 12), min(int(4 * word.height + ROUNDING), 12)
            own += [f"place={place}", f"tall={tall}", f"tall={tall},{min(place, 5)}"]
            own += [f"from top={min(word.row, 12)}", f"from bottom={min(len(rows) - word.row, 10)}"]
            own += [f"x={int(5 * word.left + ROUNDING)}", f"y={int(10 * word.middle + ROUNDING)}"]
            if (value := amounts[i]) is not None:
                order, often = min(largest[value], 4), min(counts[value], 4)
                own += [f"order={order}", f"often={often}", f"order={order},{often}", f"nothing={value == 0}"]
            yield own

    def _titles(self) -> list[list[str]]:
        """The features of the title above each row: a line of tall letters alone in its row."""
        rows: list[dict[int, float]] = []
        for word in self.words:
            rows += [{} for _ in range(word.row + 1 - len(rows))]
            rows[word.row][word.line] = word.height
        found, title = [], ["under=none"]
        for row, below in zip(rows, [*rows[1:], {0: 1.0}], strict=False):  # none without rows
            (line, height), *others = row.items()
            if not others and height > TALL * max(below.values()):
                text = "".join(self.texts[line].split()).lower()
                pairs = (text[k : k + 2] for k in range(len(text) - 1) if re.match(f"[{CJK}]", text[k]))
                title = [f"under={text}", *(f"under part={pair}" for pair in pairs)]
            found.append(title)
        return found

    def _labels(self) -> list[str]:
        """What may say what each word is: the text before a colon, or to the left of it, or above it."""
        rows: list[list[Word]] = []
        for word in self.words:
            rows += [[] for _ in range(word.row + 1 - len(rows))]
            if not rows[word.row] or rows[word.row][-1].line != word.line:
                rows[word.row].append(word)
        found = []
        for word in self.words:
            *before, _ = re.split("[:：]", self.texts[word.line][: word.start])
            label = ""
            if before:
                label = before[-1].split()[-1] if len(before) > 1 and before[-1].split() else before[-1]
            elif left := [one for one in rows[word.row] if one.left < word.left and one.line != word.line]:
                while left and len(_plain(label)) < 2:
                    label = self.texts[left.pop().line] + label
            elif word.row:
                above = min(rows[word.row - 1], key=lambda one: abs(one.left - word.left))
                label = self.texts[above.line]
            found.append(_plain("".join(label.split())))
        return found

    def _near(self, i: int, plain: Sequence[str], shapes: Sequence[str]) -> Iterator[str]:
        """The words around one, and whether they are in its line or its row."""
        for step in (*range(-NEAR, 0), *range(1, NEAR + 1)):
            if not 0 <= i + step < len(self.words):
                yield f"{step}=none"
                continue
            word, other = self.words[i], self.words[i + step]
            where = "line" if other.line == word.line else "row" if other.row == word.row else "page"
            yield f"{step},{where}={plain[i + step]}"
            if abs(step) < NEAR:
                yield f"{step},{where}~{shapes[i + step]}"


def _plain(text: str) -> str:
    """A word without case, digits and the signs around it."""
    return re.sub(r"\d", "0", text.lower()).strip(".:,()：，（）")


def _shape(text: str) -> str:
    """The kinds of a word's characters; three alike stand for more.

    >>> _shape("25/12/2018"), _shape("JALAN"), _shape("广州市Co")
    ('00/00/000', 'AAA', '汉汉汉Aa')
    """
    kinds = re.sub("[A-Z]", "A", re.sub("[a-z]", "a", re.sub(r"\d", "0", text)))
    return re.sub(r"(.)\1{2,}", r"\1\1\1", re.sub(f"[{CJK}]", "汉", kinds))


def _amount(text: str) -> float | None:
    """The number of an amount of money; None for other words.

    >>> _amount("(1,234.50)"), _amount("9.0")
    (1234.5, None)
    """
    return float(re.sub(r"[^\d.]", "", text).strip(".")) if AMOUNT.fullmatch(text) else None
