"""SentencePiece's unigram tokenizer with XLM-R's text rules, as the text of a `tokenizer.json`.

    text -> NFKC, control characters dropped -> split at spaces, each word begins with ▁ -> the most probable
    pieces of each word -> <s> ... </s>

Source: Kudo 2018, "Subword Regularization", section 3.2; Conneau et al. 2020, "Unsupervised Cross-lingual
Representation Learning at Scale", section 3, for the special tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from unicodedata import normalize

from showtell.data.tokenizers.families import FAMILIES

KEPT, ASIDE = "～", "\ue000"
"""The wave dash of Chinese and Japanese, which SentencePiece keeps and NFKC makes a tilde; a private
character stands for it meanwhile."""
NEVER = -1e4
"""Log-probability of a special token: spelled out in a text it is read as text, whose pieces have more.

That of a character without a piece is lower still, and changes nothing, since no longer piece holds one."""


def unigram_json(pieces: Sequence[str], scores: Sequence[float], normalised: Mapping[str, str]) -> str:
    """The tokenizer whose token `i` is `pieces[i]`, of log-probability `scores[i]`.

    `normalised` is what SentencePiece makes of a character that it changes; one that NFKC changes in the same
    way needs no rule of its own.

    Raises `ValueError` for pieces without XLM-R's special tokens.
    """
    family = FAMILIES["roberta"]
    place = {token: pieces.index(token) for token in family.tokens}
    vocabulary = [
        (piece, NEVER if piece in place else score) for piece, score in zip(pieces, scores, strict=True)
    ]
    model = {"type": "Unigram", "unk_id": place[family.unknown], "byte_fallback": False}
    return json.dumps(
        {
            "version": "1.0",
            "added_tokens": [
                _special(i, token, lstrip=token == family.mask)
                for token, i in sorted(place.items(), key=lambda x: x[1])
            ],
            "normalizer": {"type": "Sequence", "normalizers": _rules(normalised)},
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": [{"type": "WhitespaceSplit"}, _metaspace()],
            },
            "post_processor": _around(family.start, family.end, place),
            "decoder": _metaspace(),
            "model": model | {"vocab": vocabulary},
        },
        ensure_ascii=False,
    )


def _rules(normalised: Mapping[str, str]) -> list[dict[str, Any]]:
    """One rule per text that characters are replaced by, around NFKC."""
    groups: dict[str, str] = {}
    for char, text in normalised.items():
        if normalize("NFKC", char) != text:
            groups[text] = groups.get(text, "") + f"\\x{{{ord(char):X}}}"
    before = [_replace({"Regex": f"[{chars}]"}, text) for text, chars in groups.items()]
    if KEPT in normalised:
        return [*before, {"type": "NFKC"}]
    aside, back = _replace({"String": KEPT}, ASIDE), _replace({"String": ASIDE}, KEPT)
    return [*before, aside, {"type": "NFKC"}, back]


def _replace(pattern: dict[str, str], text: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": text}


def _metaspace() -> dict[str, Any]:
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}


def _special(index: int, token: str, *, lstrip: bool) -> dict[str, Any]:
    plain = {"single_word": False, "lstrip": lstrip, "rstrip": False, "normalized": False, "special": True}
    return {"id": index, "content": token} | plain


def _around(start: str, end: str, place: Mapping[str, int]) -> dict[str, Any]:
    def template(*parts: str) -> list[dict[str, Any]]:
        return [{"Sequence" if p in "AB" else "SpecialToken": {"id": p, "type_id": 0}} for p in parts]

    tokens = {t: {"id": t, "ids": [place[t]], "tokens": [t]} for t in (start, end)}
    pair = template(start, "A", end, end, "B", end)
    return {
        "type": "TemplateProcessing",
        "single": template(start, "A", end),
        "pair": pair,
        "special_tokens": tokens,
    }
