"""A JSON document that another engine writes: checked while it arrives, closed where it was cut.

The grammar reads one spelling of a document: no blanks, and no escapes that need not be. So a text is
respelled on its way to the grammar, and whoever asked gets it as it was written.
"""

from __future__ import annotations

import json
import math
import re

from showtell.tasks.constrained import Place, way_out
from showtell.tasks.grammar import SchemaError, byte_vocabulary, compile_schema

LONGEST = 4096
"""Bytes that may be needed to complete a document."""
BLANKS = " \t\n\r"
STRUCTURE = '{}[],:"'
NUMBER = "-0123456789+.eE"
"""Its first 11 characters may begin one."""


class BrokenText(ValueError):
    """A text that no document begins with that keeps the schema."""


class CheckedText:
    """One document."""

    def __init__(self, schema: object) -> None:
        """Raises `SchemaError` for a schema that cannot be kept."""
        from llguidance import LLMatcher

        self._vocabulary = byte_vocabulary()
        self._matcher = LLMatcher(
            self._vocabulary.tokens, compile_schema(schema, self._vocabulary), log_level=0
        )
        if self._matcher.is_error():
            raise SchemaError(f"the schema cannot be kept: {self._matcher.get_error().splitlines()[0]}")
        self._place, self._read = Place(), 0
        self._held, self._number, self._before = "", "", ""
        if self._rest() is None:
            raise SchemaError(f"no document of {LONGEST} bytes or fewer was found that keeps the schema")

    @property
    def complete(self) -> bool:
        """Whether the text is a whole document."""
        return self._matcher.is_accepting() and not self._held.strip(BLANKS)

    def write(self, text: str) -> str:
        """Read on, and return what may be sent on.

        Half an escape is held back, and blanks until something follows them.
        Raises `BrokenText` with the place of the first character that cannot follow.
        """
        sent = ""
        for char in text:
            self._read += 1
            whole = self._character(char)
            self._held += char
            if whole:
                sent, self._held = sent + self._held, ""
        return sent

    def close(self) -> str:
        """What completes the document from what was sent on. Raises `BrokenText` where nothing short does."""
        rest = self._rest()
        if rest is None:
            raise BrokenText(f"was cut, and needs more than {LONGEST} bytes to end")
        self._held = ""
        self.write(rest)
        self.end()
        return rest

    def end(self) -> None:
        """Take the text as all of it. Raises `BrokenText` where it is no whole document."""
        if not self.complete:
            raise BrokenText(f"ends after {self._read} characters, before the document does")
        self._end_number()

    def _character(self, char: str) -> bool:
        """Whether what is held back, with one more character, is read."""
        if self._place.inside:
            unit = self._held + char
            if unit[0] != "\\":
                self._feed(char)
            elif _escape_is_whole(unit):
                self._feed(self._respelled(unit))
            else:
                return False
            return True
        if char in BLANKS:
            return False
        apart = self._held and char not in STRUCTURE and self._before and self._before not in STRUCTURE
        # The blank between two numbers is wrong there; without it they would be one.
        self._feed(" " + char if apart else char)
        if apart or char not in NUMBER:
            self._end_number()
        if self._number or char in NUMBER[:11]:
            self._number += char
        self._before = char
        return True

    def _respelled(self, escape: str) -> str:
        try:
            return json.dumps(json.loads(f'"{escape}"'), ensure_ascii=False)[1:-1]
        except ValueError:
            raise self._broken(escape) from None

    def _feed(self, text: str) -> None:
        try:
            content = text.encode()
        except UnicodeEncodeError:
            raise self._broken(text) from None
        for byte in content:
            if not self._matcher.consume_token(byte):
                raise self._broken(text)
        self._place = self._place.after(content)

    def _end_number(self) -> None:
        """Raises `BrokenText` for a number that is infinity to its reader."""
        number, self._number = self._number, ""
        if number and not math.isfinite(float(number)):
            raise BrokenText(f"has a number before character {self._read} that is too large: {number[:20]}")

    def _broken(self, text: str) -> BrokenText:
        return BrokenText(f"breaks the schema at character {self._read}: {text[:20]!a} cannot follow")

    def _rest(self) -> str | None:
        plan = way_out(self._vocabulary, self._matcher, self._place, LONGEST)
        return None if plan is None else bytes(plan).decode()


def _escape_is_whole(unit: str) -> bool:
    r"""Whether an escape of a JSON string is all there; the half of a surrogate pair is not.

    >>> [_escape_is_whole(unit) for unit in (r"\n", r"\u00e", r"\u00e9", r"\ud83d", r"\ud83d\ude00")]
    [True, False, True, False, True]
    """
    if unit[1:2] != "u":
        return len(unit) == 2
    paired = re.match(r"\\u[dD][89abAB]..", unit) and r"\u".startswith(unit[6:8])
    return len(unit) >= (12 if paired else 6)
