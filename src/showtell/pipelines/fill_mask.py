"""Predictions for the masked tokens of a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from showtell.data.batch import Batch, TextBatch
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import UsageError, UserError
from showtell.pipelines.model import Model
from showtell.protocols import MaskedLanguageModel

MASK = "[MASK]"


@dataclass(frozen=True)
class Prediction:
    """A token for one of the masks."""

    text: str
    """The text with the token in place of the mask; other masks stay."""
    mask: int
    """Which mask of the text, from 0."""
    token: str
    probability: float
    """Among all tokens except special ones; rows of the embedding without a token are none."""


@dataclass(frozen=True)
class Filled:
    """The predictions for all masks of a text."""

    predictions: Sequence[Prediction]
    """Mask by mask, the most probable first."""
    unknown: int
    """Tokens of the text that the model does not know."""
    cut: int
    """Tokens at the end of the text that the model did not read."""


@torch.inference_mode()
def fill_mask(text: str, model: Model, top: int = 5, *, strict: bool = False) -> Filled:
    """The `top` most probable tokens at each `[MASK]` of a text.

    A mask may also be spelled as the model's tokenizer does: `<mask>` for RoBERTa. A text that is longer than
    the model reads is cut, or refused with `strict`. Raises `UserError` for a text without a mask and for
    masks after the cut, `UsageError` for a model that is no masked language model.

    Example::

        for one in fill_mask("The [MASK] sat on the mat.", load_model("run")).predictions:
            print(one.token, one.probability)
    """
    model.require(MaskedLanguageModel)
    tokenizer = model.tokenizer
    if not isinstance(tokenizer, SubwordTokenizer) or tokenizer.mask is None:
        raise UsageError(f"the tokenizer of {model.name} has no mask token; choose another with --model")
    mask = tokenizer.tokens[tokenizer.mask]
    parts = text.replace(MASK, mask).split(mask)
    if len(parts) == 1:
        raise UserError(f"{text[:40]!r} has no mask; write {MASK} where a word is missing")
    whole = tokenizer.encode(mask.join(parts), special=True)
    ids = tokenizer.encode(mask.join(parts), model.max_length, special=True)
    cut = len(whole) - len(ids)
    if cut and (strict or ids.count(tokenizer.mask) < len(parts) - 1):
        raise UserError(
            f"the text that begins with {text[:40]!r} has {len(whole)} tokens, and the model reads "
            f"{model.max_length}; shorten it"
        )
    row = torch.tensor([ids], device=model.device)
    tokens = model.system.encode_texts(
        Batch(texts=TextBatch(row, torch.ones_like(row, dtype=torch.bool)))
    ).tokens
    logits = model.system.masked_token_logits(tokens[row == tokenizer.mask])
    excluded = {*tokenizer.special, *tokenizer.unused(logits.shape[1])}
    logits[:, sorted(excluded)] = -torch.inf
    best = logits.softmax(-1).topk(min(top, logits.shape[1] - len(excluded)))
    predictions = []
    for place, (values, ids_) in enumerate(zip(best.values.tolist(), best.indices.tolist(), strict=True)):
        before, after = MASK.join(parts[: place + 1]), MASK.join(parts[place + 1 :])
        for probability, i in zip(values, ids_, strict=True):
            token = tokenizer.decode([i])
            filled = _join(before, token, after, tokenizer)
            predictions.append(Prediction(filled, place, token.strip(), probability))
    return Filled(predictions, ids.count(tokenizer.unknown) if tokenizer.unknown is not None else 0, cut)


def _join(before: str, token: str, after: str, tokenizer: SubwordTokenizer) -> str:
    """A token that continues the word before it is written without a space."""
    if token.startswith("##"):
        return before.rstrip() + token.removeprefix("##") + after
    # Byte-level tokens carry their own space, and RoBERTa's mask consumes the one before it.
    joined = before.rstrip() + token if tokenizer.family == "roberta" else before + token
    return (joined if before else joined.lstrip()) + after
