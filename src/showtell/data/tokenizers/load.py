"""Load a tokenizer of either kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenizers import Tokenizer

from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.data.tokenizers.words import SPECIAL, WordTokenizer
from showtell.errors import UserError

MULTIPLES = (8, 16, 32, 64, 128, 256, 512, 1024)


def load_tokenizer(
    json: str, name: str = "tokenizer.json", texts: Mapping[str, Any] | None = None
) -> WordTokenizer | SubwordTokenizer:
    """The tokenizer in the text of a `tokenizer.json`; `name` is what errors call the file.

    `texts` is what happens to a text before it is tokenized, as a checkpoint's `preprocess.json` has it.

    Raises `UserError` for text that is not a tokenizer, or special tokens of no known family.
    """
    try:
        tokenizer = Tokenizer.from_str(json)
        of_words = all(tokenizer.token_to_id(token) == i for i, token in enumerate(SPECIAL))
        return WordTokenizer(tokenizer) if of_words else SubwordTokenizer(tokenizer).reading(texts or {})
    except Exception as error:  # `tokenizers` raises nothing narrower
        raise UserError(f"{name} is damaged, or not a tokenizer that can be read: {error}") from error


def fits(tokens: int, rows: int) -> bool:
    """Whether an embedding of `rows` may belong to a vocabulary of `tokens`.

    Rows are rounded up to a multiple of a power of two, for speed, or there are a few to spare.

    >>> fits(12, 12), fits(12, 64), fits(50257, 50304), fits(28996, 30522), fits(13, 12)
    (True, True, True, False, False)
    """
    few = 0 <= rows - tokens <= min(rows // 10, 512)
    return few or any(-(-tokens // multiple) * multiple == rows for multiple in MULTIPLES)
