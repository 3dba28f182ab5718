"""Answers to questions about images: spelt alike, and scored by how many people gave them.

    score(a) = mean over the N people i of min(1, matches of a among the others / 3)

Source: Antol et al. 2015, "VQA: Visual Question Answering", section 3, as the official evaluation computes it
(Goyal et al. 2017), whose spelling of answers this is too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import product

ENOUGH = 3
"""Other people who must agree with an answer for it to be fully right; all of them, where they are fewer."""
_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_BETWEEN_DIGITS = re.compile(r"\d,\d")
_PERIOD = re.compile(r"\.(?!\d)")
_NUMBERS = {
    word: str(number) for number, word in enumerate(["zero", "one", "two", "three", "four", "five", "six"])
}
_NUMBERS |= {"none": "0", "seven": "7", "eight": "8", "nine": "9", "ten": "10"}
_ARTICLES = ("a", "an", "the")
_CONTRACTED = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't
he'd he'd've he's how'd how'll how's i'd've i'm i've isn't it'd it'd've it'll ma'am mightn't mightn't've
might've mustn't must've needn't not've o'clock oughtn't shan't she'd've should've shouldn't shouldn't've
somebody'd've somebody'll somebody's someone'd someone'd've someone'll someone's something'd
something'd've something'll that's there'd there'd've there're there's they'd they'd've they'll they're
they've 'twas wasn't we'd've we've weren't what'll what're what's what've when's where'd where's where've
who'd who'd've who'll who's who've why'll why're why's won't would've wouldn't wouldn't've y'all y'all'll
y'all'd've you'd you'd've you'll you're you've
"""


def _spellings(word: str) -> list[str]:
    """A word with each apostrophe there or not."""
    parts = word.split("'")
    choices = product("'" + "\0", repeat=len(parts) - 1)
    return [
        "".join(f"{a}{b}" for a, b in zip(("", *c), parts, strict=True)).replace("\0", "") for c in choices
    ]


_SPELT = {spelling: word for word in _CONTRACTED.split() for spelling in _spellings(word)}


def normalise_answer(answer: str) -> str:
    """An answer as the official evaluation compares it: without articles, punctuation and capitals.

    >>> normalise_answer("The  two dogs."), normalise_answer("Dont know!"), normalise_answer("1,000")
    ('2 dogs', "don't know", '1000')
    """
    text = " ".join(answer.split())
    out, glued = text, bool(_BETWEEN_DIGITS.search(text))
    for mark in _PUNCTUATION:
        alone = f"{mark} " in text or f" {mark}" in text
        out = out.replace(mark, "" if alone or glued else " ")
    words = (_NUMBERS.get(word, word) for word in _PERIOD.sub("", out).lower().split())
    return " ".join(_SPELT.get(word, word) for word in words if word not in _ARTICLES)


def soft_scores(answers: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """Each answer that someone gave with its score, the best first.

    >>> soft_scores(["yes"] * 8 + ["no"] * 2)
    (('yes', 1.0), ('no', 0.6))
    """
    people = len(answers)
    if people == 1:
        return ((answers[0], 1.0),)

    enough = min(ENOUGH, people - 1)

    def score(matches: int) -> float:
        own = matches * min((matches - 1) / enough, 1.0)
        return round((own + (people - matches) * min(matches / enough, 1.0)) / people, 6)

    return tuple((answer, score(count)) for answer, count in Counter(answers).most_common())
