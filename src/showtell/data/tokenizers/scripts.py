"""Scripts that are written without spaces between words: their text is read by character.

Chinese, Japanese, Thai, Lao, Khmer, Burmese and Tibetan; Korean has spaces. A character is a letter with the
marks on it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from itertools import pairwise

from tokenizers import Regex, pre_tokenizers

from showtell.data.tokenizers.wellformed import wellformed

UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}ー々〆]\p{M}*"
"""The pattern of one such character, for the `tokenizers` library."""
_CHARACTER = pre_tokenizers.Split(Regex(UNSPACED), "removed", invert=True)
_RUN = pre_tokenizers.Split(Regex(f"(?:{UNSPACED})+"), "removed", invert=True)


def join_words(words: Iterable[str]) -> str:
    """Words joined by spaces, but not where two characters of an unspaced script meet.

    >>> join_words(["黑", "猫", "in", "a", "t", "恤"])
    '黑猫 in a t 恤'
    """
    text, glues = "", False
    for word in words:
        runs = [] if word.isascii() else _RUN.pre_tokenize_str(word)
        begins = bool(runs) and runs[0][1][0] == 0
        text += word if not text or (glues and begins) else f" {word}"
        glues = bool(runs) and runs[-1][1][1] == len(word)
    return text


def spaced(text: str) -> str:
    """The text with each character of an unspaced script, and each pair of them, between spaces.

    A full-text index then finds a word of such a script by its characters, and ranks first where they adjoin.

    >>> spaced("a 黑猫, sat")
    'a  黑 猫 黑猫 , sat'
    """
    if text.isascii():
        return text
    out, done, text = [], 0, unicodedata.normalize("NFKC", wellformed(text))  # half-width katakana
    for run, (begin, end) in _RUN.pre_tokenize_str(text):
        one = [character for character, _ in _CHARACTER.pre_tokenize_str(run)]
        out += [text[done:begin], *one, *(left + right for left, right in pairwise(one))]
        done = end
    return " ".join([*out, text[done:]])
