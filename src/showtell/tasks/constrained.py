"""Decoding under a grammar and within a budget: each document that begins also ends.

After each token a way out is known: tokens that complete the document. A token that would make the way out
longer than what is left is not taken; the way out is, instead. By induction it always fits:

    len(way_out) + 1 <= left          the 1 is the end token
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from showtell.tasks.grammar import SchemaError, Vocabulary

LONGEST = 1024
"""Tokens that the shortest known document may have: all of them are looked at again after each token."""


DIGITS = 300
"""Characters of a number after which no more are taken: of 309 digits and a point, readers make infinity."""


class Place:
    """Whether the bytes so far end inside a string of JSON, or how many of them belong to a number."""

    def __init__(self, inside: bool = False, escaped: bool = False, number: int = 0) -> None:
        self.inside, self._escaped, self.number = inside, escaped, number

    def after(self, text: bytes) -> Place:
        """The same after more bytes."""
        inside, escaped, number = self.inside, self._escaped, self.number
        for byte in text:
            if escaped:
                escaped = False
            elif inside and byte == ord("\\"):
                escaped = True
            elif byte == ord('"'):
                inside = not inside
            number = number + 1 if not inside and byte in b"-.0123456789" else 0
        return Place(inside, escaped, number)


class Answer:
    """One document while it is written, token by token."""

    def __init__(self, grammar: str, vocabulary: Vocabulary, budget: int) -> None:
        """`budget`: tokens at most, the end token included.

        Raises `SchemaError` where the document needs more, with the number.
        """
        from llguidance import LLMatcher

        self._vocabulary, self._left = vocabulary, budget
        self._matcher, self._place = LLMatcher(vocabulary.tokens, grammar, log_level=0), Place()
        if self._matcher.is_error():
            raise SchemaError(f"the schema cannot be kept: {self._matcher.get_error().splitlines()[0]}")
        plan = way_out(vocabulary, self._matcher, self._place, LONGEST)
        if plan is None:
            raise SchemaError(f"no document of {LONGEST} tokens or fewer was found that keeps the schema")
        if len(plan) >= budget:
            raise SchemaError(
                f"the schema needs {len(plan)} tokens at least, and {budget - 1} may be written"
            )
        self._plan: list[int] = plan
        self.cut = False
        """Whether the way out completed the document, for want of tokens: its last values are made up."""

    def mask(self, logits: Tensor) -> Tensor:
        """Logits `[... V]` with -inf where a token cannot follow.

        A number is written without an exponent, and in at most 300 characters or a token more, unless the
        schema demands it: `1e999` is valid, and infinity to its reader.
        """
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        allowed = np.unpackbits(bits, bitorder="little")[: self._vocabulary.size].astype(bool)
        if not self._place.inside:
            excluded = self._vocabulary.exponents[min(self._place.number, 1)]
            if self._place.number >= DIGITS:
                excluded = excluded | self._vocabulary.digits
            if (sober := allowed & ~excluded).any():
                allowed = sober
        return logits.masked_fill(~torch.from_numpy(allowed).to(logits.device), -torch.inf)

    def take(self, token: int) -> int:
        """The token that is written: `token`, which the mask allows, or the next of the way out."""
        if not self.cut and token != self._vocabulary.end and not self._afford(token):
            self.cut = True
        if self.cut:
            token, *self._plan = [*self._plan, self._vocabulary.end]
        self._left -= 1
        if token != self._vocabulary.end:
            self._write(token)
        return token

    def _write(self, token: int) -> None:
        if not self._matcher.consume_token(token):
            raise RuntimeError(f"a token outside the grammar: {self._matcher.get_error()}")
        self._place = self._place.after(self._vocabulary.text(token))

    def _afford(self, token: int) -> bool:
        """Whether there is a way out after a token; it becomes the plan."""
        if self._plan[:1] == [token]:
            self._plan = self._plan[1:]
            return True
        matcher = self._matcher.deep_copy()
        if not matcher.consume_token(token):
            raise RuntimeError(f"a token outside the grammar: {matcher.get_error()}")
        place = self._place.after(self._vocabulary.text(token))
        plan = way_out(self._vocabulary, matcher, place, self._left - 2)
        self._plan = self._plan if plan is None else plan
        return plan is not None


def way_out(vocabulary: Vocabulary, matcher: Any, place: Place, limit: int) -> list[int] | None:
    """Tokens that complete the document, at most `limit`; None where none were found."""
    if limit < 0:
        return None
    matcher, found = matcher.deep_copy(), list[int]()
    used: Counter[int] = Counter()
    while not matcher.is_accepting():
        following = matcher.compute_ff_tokens() or _next(vocabulary, matcher, place, used)
        if not following or len(found) + len(following) > limit:
            return None
        for token in following:
            if not matcher.consume_token(token):
                return None
            place = place.after(vocabulary.text(token))
        found += following
    return found


def _next(vocabulary: Vocabulary, matcher: Any, place: Place, used: Counter[int]) -> list[int]:
    """The token of one byte that most likely leads to the end.

    Of several, the one least used in this value: else `^a*b$` has no end, nor a number above 0.
    """
    bits = np.frombuffer(matcher.compute_bitmask(), np.uint8)
    tried = vocabulary.inside if place.inside else vocabulary.outside
    allowed = tried[(bits[tried >> 3] >> (tried & 7)) & 1 == 1].tolist()
    if place.inside and bits[vocabulary.quote >> 3] >> (vocabulary.quote & 7) & 1:
        allowed = [vocabulary.quote]
    if not allowed:
        return []
    if not place.inside and allowed[0] in vocabulary.closing:
        used.clear()
        return allowed[:1]
    best = min(allowed, key=used.__getitem__)  # the first of those least used
    used[best] += 1
    return [best]
