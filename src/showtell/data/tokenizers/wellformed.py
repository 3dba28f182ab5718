"""Text that a tokenizer can take."""

from __future__ import annotations


def wellformed(text: str) -> str:
    """The text with `?` for each lone surrogate: bytes that were no UTF-8, which the library refuses.

    >>> wellformed("caf\\udce9")
    'caf?'
    """
    return text.encode("utf-8", "replace").decode()
