"""Texts that are longer than what reads them: cut, counted and said once, or refused."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from showtell.errors import UserError
from showtell.wording import counted

if TYPE_CHECKING:
    from showtell.datasets.vocabulary import CaptionTokenizer

logger = logging.getLogger(__name__)


@dataclass
class Cuts:
    """The texts of one run, of which some are cut.

    >>> from showtell.data.tokenizers.words import WordTokenizer
    >>> words = WordTokenizer.train(["a dog", "a black dog runs"])
    >>> cuts = Cuts(2, "training keeps")
    >>> [len(cuts.encode(words, text)) for text in ("a dog", "a black dog runs")], cuts.count, cuts.seen
    ([4, 4], 1, 2)
    """

    limit: int | None
    """The most tokens of a text that are read; None for no limit."""
    reader: str
    """What reads no more, with its verb: "clip@01 reads"."""
    noun: str = "text"
    strict: bool = False
    """Refuse a text that is too long instead of cutting it."""
    whole: bool = False
    """Texts that are too long are left out, where they would lose their sense if cut."""
    seen: int = 0
    count: int = 0
    """Texts that were cut."""
    first: tuple[str, int] | None = None
    """The first of them, with the number of its tokens that were lost."""
    _ends: dict[tuple[int, ...], tuple[str, int]] = field(default_factory=dict, repr=False)

    def encode(self, tokenizer: CaptionTokenizer, text: str) -> list[int]:
        """The ids of a text, cut to the limit; see `add`."""
        ids, lost = encode_within(tokenizer, text, self.limit)
        self.add(text, lost)
        return ids

    def add(self, text: str, lost: int) -> None:
        """Count a text of which the last `lost` tokens are not read. Raises `UserError` if it is `strict`.

        Of a `whole` one, `text` says where it is.
        """
        self.seen += 1
        if lost:
            self.count += 1
            self.first = self.first or (text, lost)
            if self.strict:
                self.refuse()

    def tell_apart(self, text: str, ids: Sequence[int], lost: int) -> None:
        """Raises `UserError` for a text that a cut made equal to an earlier one."""
        if self.limit is None or len(ids) < self.limit:
            return
        other, other_lost = self._ends.setdefault(tuple(ids), (text, lost))
        if other != text and (lost or other_lost):
            raise UserError(
                f"{self.noun} {shortened(text)} cannot be told from {shortened(other)}: they differ "
                f"after the {self.limit} tokens that {self.reader}; shorten them"
            )

    def refuse(self) -> NoReturn:
        """Raises `UserError` that names the first text that was cut."""
        assert self.first is not None
        text, lost = self.first
        which = text if self.whole else f"the {self.noun} that begins with {text[:40]!r}"
        raise UserError(
            f"{which} is {counted(lost, 'token')} longer than the "
            f"{self.limit} tokens that {self.reader}; shorten it"
        )

    def log(self) -> None:
        """Say how many texts were cut, if any."""
        log_cuts({"": self})


def encode_within(tokenizer: CaptionTokenizer, text: str, limit: int | None) -> tuple[list[int], int]:
    """The ids of a text, cut to a limit, and how many tokens that lost."""
    whole = tokenizer.encode(text, None)
    ids = tokenizer.truncate(whole, limit)
    return ids, len(whole) - len(ids)


def log_cuts(cuts: dict[str, Cuts]) -> None:
    """One warning for the texts that were cut, counted by the name of their split."""
    some = [one for one in cuts.values() if one.first]
    if not some:
        return
    counts = [f"{one.count} of {one.seen}{f' of {name}' * bool(name)}" for name, one in cuts.items()]
    first = some[0]
    assert first.first is not None
    text, lost = first.first
    cut, lose = ("left out, longer than", "is longer by") if first.whole else ("cut to", "lost")
    logger.warning(
        "%s %s the %s tokens that %s (%s); the first, %s, %s %s",
        counted(sum(one.count for one in some), first.noun),
        cut,
        first.limit,
        first.reader,
        ", ".join(counts),
        text if first.whole else shortened(text),
        lose,
        counted(lost, "token"),
    )


def shortened(text: str) -> str:
    """The beginning of a text, and its end where that is cut, quoted.

    >>> shortened("a dog"), shortened("a" * 50 + "b")
    ("'a dog'", "'aaaaaaaaaaaaaaaaaaaaaaaa…aaaaaaaaaaaaaaab'")
    """
    return repr(text if len(text) <= 40 else f"{text[:24]}…{text[-16:]}")
