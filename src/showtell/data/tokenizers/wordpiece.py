"""WordPiece training: characters, then the merges that increase the likelihood most."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np

CONTINUES = "##"
"""The prefix of every piece that does not begin a word."""
MOST_CHARACTERS = 1000
LONGEST_WORD = 100
"""A WordPiece tokenizer maps longer words to the unknown token."""
Pair = tuple[int, int]


def learn_pieces(words: Mapping[str, int], num_pieces: int) -> list[str]:
    """At most `num_pieces` pieces from counted words: characters, then merges in order.

    Only the thousand most frequent characters become pieces; a word with another one is unknown.

    >>> learn_pieces({"low": 5, "lowest": 3, "new": 2}, 10)[7:]
    ['lo', 'low', '##st']
    """
    spelled = {word: spell(word) for word in words if len(word) <= LONGEST_WORD}
    counts: Counter[str] = Counter()
    for word, pieces in spelled.items():
        for piece in pieces:
            counts[piece] += words[word]
    learned = dict.fromkeys(p for p, _ in counts.most_common(min(MOST_CHARACTERS, num_pieces)))
    known = {word: (pieces, words[word]) for word, pieces in spelled.items() if learned.keys() >= {*pieces}}
    for left, right in merges(list(known.values())):
        if len(learned) == num_pieces:
            break
        learned[join(left, right)] = None
    return list(learned)


def join(left: str, right: str) -> str:
    """The piece that two adjacent pieces form.

    >>> join("##o", "##w")
    '##ow'
    """
    return left + right.removeprefix(CONTINUES)


def merges(words: list[tuple[list[str], int]]) -> Iterator[tuple[str, str]]:
    """Pairs of pieces in the order in which to merge them, until no merge increases the likelihood.

    The words, given as pieces with a count, are modelled as independent draws of pieces. Their log-likelihood
    is `sum_i f(c_i) - f(N)`, where `f(c) = c log c`, piece i occurs `c_i` times and all pieces together N
    times. Merging a and b, which are adjacent n times, adds

        f(n) + f(c_a - n) - f(c_a) + f(c_b - n) - f(c_b) + f(N) - f(N - n)

    or, where b is a, `f(n) + f(c_a - 2n) - f(c_a) + f(N) - f(N - n)`. Pairs that occur once are not merged.

    Source: Schuster and Nakajima 2012, "Japanese and Korean voice search", section 2 (the trainer of the
    `tokenizers` library merges the most frequent pair instead).
    """
    ids: dict[str, int] = {}
    spelled = [[ids.setdefault(piece, len(ids)) for piece in pieces] for pieces, _ in words]
    names = list(ids)
    occurs = np.array([count for _, count in words], np.int64)
    table = _Pairs()
    counts = np.zeros(max(len(ids), 1), np.int64)
    changed: defaultdict[Pair, int] = defaultdict(int)
    for word, pieces in enumerate(spelled):
        np.add.at(counts, pieces, occurs[word])
        for pair in _pairs(pieces):
            changed[pair] += int(occurs[word])
            table.words[pair].add(word)
    table.change(changed)
    while (best := table.best(counts)) is not None:
        left, right = best
        yield names[left], names[right]
        text = join(names[left], names[right])
        new = ids.setdefault(text, len(ids))
        if new == len(names):
            names.append(text)
            counts = np.append(counts, 0)
        changed = defaultdict(int)
        for word in sorted(table.words.pop(best)):
            old = spelled[word]
            pieces = _merge(old, left, right, new)
            if len(pieces) == len(old):
                continue
            count = int(occurs[word])
            merged = count * (len(old) - len(pieces))
            counts[left] -= merged
            counts[right] -= merged
            counts[new] += merged
            for pair in _pairs(old):
                changed[pair] -= count
            for pair in _pairs(pieces):
                changed[pair] += count
                table.words[pair].add(word)
            spelled[word] = pieces
        table.change(changed)


class _Pairs:
    """Counts of adjacent pairs and the words that contain them; finds the best pair to merge."""

    def __init__(self) -> None:
        self.words: defaultdict[Pair, set[int]] = defaultdict(set)
        """Words that contain a pair, or used to."""
        self._row: dict[Pair, int] = {}
        self._pair = np.zeros((1024, 2), np.int64)
        self._count = np.zeros(1024, np.int64)
        self._least = 0
        """Pairs that occur less often cannot be the best at present."""

    def change(self, by: Mapping[Pair, int]) -> None:
        """Add differences to the counts."""
        for pair, difference in by.items():
            row = self._row.setdefault(pair, len(self._row))
            if row == len(self._count):
                self._pair = np.concatenate([self._pair, np.zeros_like(self._pair)])
                self._count = np.concatenate([self._count, np.zeros_like(self._count)])
            self._pair[row] = pair
            self._count[row] += difference

    def best(self, counts: np.ndarray) -> Pair | None:
        """The pair whose merge increases the likelihood most, the first of equals; None if none does."""
        total = int(counts.sum())
        most = int(self._count[: len(self._row)].max(initial=0))
        least = min(self._least or most, most)
        while most >= 2:
            rows = np.flatnonzero(self._count[: len(self._row)] >= max(least, 2))
            gains = self._gains(rows, counts, total)
            place = int(gains.argmax())
            # A pair that occurs n times gains most if its two pieces occur nowhere else.
            if least <= 2 or gains[place] > _bound(least - 1, total):
                self._least = least
                left, right = self._pair[rows[place]].tolist()
                return (left, right) if gains[place] > 0 else None
            least = max(2, least * 3 // 4)
        return None

    def _gains(self, rows: np.ndarray, counts: np.ndarray, total: int) -> np.ndarray:
        n, (left, right) = self._count[rows], self._pair[rows].T
        own = counts[left]
        twice = left == right
        gains = _f(n) + _f(total) - _f(total - n) - _f(own) + _f(own - np.where(twice, 2 * n, n))
        return gains + np.where(twice, 0.0, _f(counts[right] - n) - _f(counts[right]))


def _f(count: np.ndarray | int) -> np.ndarray:
    return count * np.log(np.maximum(count, 1))


def _bound(n: int, total: int) -> float:
    return float(_f(total) - _f(total - n) - _f(n))


def spell(word: str) -> list[str]:
    """The pieces of a word that are one character each."""
    return [character if place == 0 else CONTINUES + character for place, character in enumerate(word)]


def _pairs(pieces: list[int]) -> list[Pair]:
    """Adjacent pairs that can be merged: of three equal pieces in a row, one pair."""
    found, overlaps = [], False
    for pair in pairwise(pieces):
        overlaps = pair[0] == pair[1] and not overlaps
        if overlaps or pair[0] != pair[1]:
            found.append(pair)
    return found


def _merge(pieces: list[int], left: int, right: int, new: int) -> list[int]:
    merged, place, last = [], 0, len(pieces) - 1
    while place <= last:
        if place < last and pieces[place] == left and pieces[place + 1] == right:
            merged.append(new)
            place += 2
        else:
            merged.append(pieces[place])
            place += 1
    return merged
