"""Sentence boundaries by rules."""

from __future__ import annotations

import re

# A line break; the full stop of a script without spaces; or a stop, closing quotes and brackets, and a space.
_ENDS = re.compile(r"""\n\s*+|[。！？]+[”’』」）]*|(?<![.!?…।])[.!?…।]++(?:["'”’)\]]|\ '')*+(?=\s|$)""")
_NEXT = re.compile(r"""\s*+["'“‘(\[`¿¡*_-]*+\s*+(\S)""")
_ABBREVIATIONS = (
    "Mr Mrs Ms Dr Prof St Sr Jr Gen Gov Sen Rep Lt Col Sgt Capt Rev Hon Mt vs No Vol pp "
    "Jan Feb Mar Apr Aug Sept Oct Nov Dec"
)
_ABBREVIATED = re.compile(rf"(?:^|[^\w.])(?:[^\W\d_]|[A-Za-z]\.[A-Za-z]|{'|'.join(_ABBREVIATIONS.split())})$")


def split_sentences(text: str) -> list[str]:
    """The sentences of a text; joined they are the text, as each but the first begins with its space.

    A sentence ends at a line break, or at `. ! ? …` before a space unless the next word begins with a
    lower-case letter or the stop belongs to an initial or a title.

    >>> split_sentences('Dr. Who came. "Why?" he asked. 3.5 miles!')
    ['Dr. Who came.', ' "Why?" he asked.', ' 3.5 miles!']
    """
    sentences, begin = [], 0
    for end in _ENDS.finditer(text):
        stop = end.end()
        if end[0][0] == "\n":
            # The line break, and the spaces before it, belong to the next sentence.
            stop = begin + len(text[begin : end.start()].rstrip())
        elif end[0][0] in ".!?…":
            following = _NEXT.match(text, stop)
            if following and following[1].islower():
                continue
            if end[0] == "." and _ABBREVIATED.search(text, max(begin, end.start() - 6), end.start()):
                continue
        if text[begin:stop].strip():
            sentences.append(text[begin:stop])
            begin = stop
    if text[begin:].strip() or not sentences:
        sentences.append(text[begin:])
    else:
        sentences[-1] += text[begin:]
    return sentences
