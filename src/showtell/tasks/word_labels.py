"""What each word of a page is of the materials that are known to be there, for training a tagger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import accumulate

from showtell.data.documents.materials import KIND, RECEIPT
from showtell.tasks.page_words import Page

NONE = "-"
"""The label of a word that belongs to no field."""
ALIKE = 0.7
"""How much of a value must be read right for its words to be found."""
COVERED = 0.5
"""How much of a word must be the value's."""


CONTINUED = "+"
"""The end of the label of a word in the second and later lines of a value."""


def label(kind: str, field: str) -> str:
    """The label of a field of a kind of material; the field of the kind itself is where it is printed."""
    return f"{kind}/{field}"


def normalised(text: str) -> str:
    """A text without case, blanks and signs.

    >>> normalised("No.2 & 4, JALAN"), normalised("营 业 执 照")
    ('no24jalan', '营业执照')
    """
    return "".join(char for char in text.casefold() if char.isalnum())


def labels_of(page: Page, materials: Sequence[Mapping[str, str]]) -> list[str]:
    """The label of each word: wherever a value is printed whole, else where it is printed most alike.

    In the lines after the first of a value the label ends in `+`. The kind of a material is where it stands
    alone in its line, as a title does; a receipt has none.
    """
    texts = [normalised(word.text) for word in page.words]
    found = [NONE] * len(texts)
    for material in materials:
        for field, value in material.items():
            wanted = normalised(value)
            places = [*_whole(texts, wanted)] or [_alike(texts, wanted) or _parts(texts, wanted)]
            for place in places:
                if field == KIND and (material[KIND] == RECEIPT or not _is_title(page, place, wanted)):
                    continue
                for i in place:
                    if found[i] == NONE:
                        later = page.words[i].line != page.words[place[0]].line
                        found[i] = label(material[KIND], field) + CONTINUED * later
    return found


def _is_title(page: Page, place: Sequence[int], wanted: str) -> bool:
    return bool(place) and normalised(page.texts[page.words[place[0]].line]) == wanted


def _whole(texts: Sequence[str], wanted: str) -> Iterator[list[int]]:
    """The words of each place where words together are the value."""
    for first in range(len(texts)):
        joined, last = "", first
        while len(joined) < len(wanted) and last < len(texts) and wanted.startswith(joined):
            joined, last = joined + texts[last], last + 1
        if wanted and joined == wanted and texts[first] and texts[last - 1]:
            yield list(range(first, last))


def _alike(texts: Sequence[str], wanted: str) -> list[int]:
    """The words of the window that is most like a value, where it is alike enough."""
    starts = [0, *accumulate(map(len, texts))]
    joined = "".join(texts)
    matcher = SequenceMatcher(None, b=wanted, autojunk=False)
    best, most = -1, ALIKE
    for first, start in enumerate(starts[:-1]):
        matcher.set_seq1(joined[start : start + len(wanted) + 2])
        if texts[first] and matcher.quick_ratio() > most and (ratio := matcher.ratio()) > most:
            best, most = first, ratio
    if best < 0:
        return []
    start = starts[best]
    window = joined[start : start + len(wanted) + 2]
    matcher.set_seq1(window)
    covered = [0] * len(window)
    for block in matcher.get_matching_blocks():
        covered[block.a : block.a + block.size] = [1] * block.size
    return [
        i
        for i in range(best, len(texts))
        if starts[i] - start < len(window)
        and texts[i]
        and sum(covered[starts[i] - start : starts[i + 1] - start]) >= COVERED * len(texts[i])
    ]


def _parts(texts: Sequence[str], wanted: str) -> list[int]:
    """Words that are part of a value, for one that is printed over lines with others between."""
    return [i for i, text in enumerate(texts) if len(text) > 3 and text in wanted]
