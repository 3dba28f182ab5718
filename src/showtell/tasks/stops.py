"""Texts that end an answer, and are not part of it."""

from __future__ import annotations

from collections.abc import Sequence


class Stops:
    """Watches a text while it grows.

    >>> stops = Stops(["bc"])
    >>> stops.take("a b"), stops.take("cd"), stops.found
    ('a ', '', True)
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops, self._held = stops, ""
        self.found = False
        """Whether the text has ended."""

    def take(self, text: str, *, last: bool = False) -> str:
        """The text that no stop can reach any more; the rest waits for more text, unless it is the last."""
        self._held += text
        ends = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if ends:
            self.found = True
            return self._held[: min(ends)]
        waiting = 0 if last else self._may_begin()
        given, self._held = self._held[: len(self._held) - waiting], self._held[len(self._held) - waiting :]
        return given

    def _may_begin(self) -> int:
        """How many characters at the end may begin a stop."""
        lengths = (n for stop in self._stops for n in range(1, len(stop)) if self._held.endswith(stop[:n]))
        return max(lengths, default=0)
