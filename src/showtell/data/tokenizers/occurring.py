"""A WordPiece vocabulary cut down to what some texts hold."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import chain

from tokenizers import Tokenizer

from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.data.tokenizers.wordpiece import CONTINUES
from showtell.errors import UsageError


def occurring(tokenizer: SubwordTokenizer, texts: Iterable[str]) -> SubwordTokenizer:
    """The tokenizer with the tokens that `texts` hold, special tokens and single characters; ids are new.

    It reads these texts as before, since the longest piece of a word that was found is still there. Other
    words fall into shorter pieces. Raises `UsageError` for a tokenizer that is not WordPiece.
    """
    content = json.loads(tokenizer.to_json())
    if content["model"]["type"] != "WordPiece":
        raise UsageError(f"only a WordPiece vocabulary can be cut down, not {content['model']['type']}")
    found = {*chain.from_iterable(tokenizer.encode_batch([*texts])), *tokenizer.special}
    kept = [
        token
        for i, token in enumerate(tokenizer.tokens)
        if i in found or len(token.removeprefix(CONTINUES)) == 1
    ]
    ids = {token: i for i, token in enumerate(kept)}
    content["model"]["vocab"] = ids
    for added in content["added_tokens"]:
        added["id"] = ids[added["content"]]
    _renumber(content["post_processor"], ids)
    return SubwordTokenizer(Tokenizer.from_str(json.dumps(content)))


def _renumber(processor: dict, ids: dict[str, int]) -> None:
    """The special tokens that are put around a text, in both layouts of `tokenizer.json`."""
    for name, special in processor.get("special_tokens", {}).items():
        special["ids"] = [ids[name]]
    for end in ("sep", "cls"):
        if end in processor:
            processor[end] = [processor[end][0], ids[processor[end][0]]]
