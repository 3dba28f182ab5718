"""Text that a tokenizer accepts."""

from __future__ import annotations


def wellformed(text: str) -> str:
    """The text with `?` for each lone surrogate (a byte that was not UTF-8), which `tokenizers` refuses.

    >>> wellformed("caf\\udce9")
    'caf?'
    """
    return text.encode("utf-8", "replace").decode()
