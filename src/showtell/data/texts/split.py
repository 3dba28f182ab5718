"""Which documents are learned from, and which are kept to measure by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from showtell.errors import UserError


def divide(documents: Iterable[str], share: float = 0.01) -> tuple[list[str], list[str]]:
    """Training and validation documents in their order: about `share` of them, at least one, is the latter.

    A hash of its content decides for each document, so equal ones stay together, and a document's side
    does not change when others come or go.

    Raises `UserError` where fewer than two documents differ.

    >>> training, validation = divide(["a", "b", "c", "a"])
    >>> len(training) + len(validation), set(training) & set(validation)
    (4, set())
    """
    places = [(_place(document), document) for document in documents]
    lowest = min((place for place, _ in places), default=0.0)
    limit = max(share, lowest)
    training = [document for place, document in places if place > limit]
    if not training:
        raise UserError("the data holds fewer than two different documents: nothing is left to measure by")
    return training, [document for place, document in places if place <= limit]


def _place(document: str) -> float:
    """A number in 0..1 that depends on the content alone."""
    digest = hashlib.sha256(document.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) / 2**64
