"""Load a tokenizer of either kind."""

from __future__ import annotations

from tokenizers import Tokenizer

from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.data.tokenizers.words import SPECIAL, WordTokenizer
from showtell.errors import UserError


def load_tokenizer(json: str, name: str = "tokenizer.json") -> WordTokenizer | SubwordTokenizer:
    """The tokenizer in the text of a `tokenizer.json`; `name` is what errors call the file.

    Raises `UserError` for text that is not a tokenizer, or special tokens of no known family.
    """
    try:
        tokenizer = Tokenizer.from_str(json)
        of_words = all(tokenizer.token_to_id(token) == i for i, token in enumerate(SPECIAL))
        return WordTokenizer(tokenizer) if of_words else SubwordTokenizer(tokenizer)
    except Exception as error:  # `tokenizers` raises nothing narrower
        raise UserError(f"{name} is damaged, or not a tokenizer that can be read: {error}") from error
