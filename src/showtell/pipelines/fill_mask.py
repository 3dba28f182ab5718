"""Say which words are missing in a text."""

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
class Guess:
    """A word that may stand at one of the masks."""

    text: str
    """The text with the word in its place; other masks stay."""
    mask: int
    """Which of the text's masks, from 0."""
    token: str
    probability: float
    """Among all words; special tokens are none."""


@dataclass(frozen=True)
class Filled:
    """The guesses of all masks of a text."""

    guesses: Sequence[Guess]
    """Mask by mask, the likeliest first."""
    unknown: int
    """Pieces of the text that the model does not know."""
    cut: int
    """Tokens of the text's end that the model did not read."""


@torch.inference_mode()
def fill(text: str, model: Model, top: int = 5, *, strict: bool = False) -> Filled:
    """The `top` likeliest words at each `[MASK]` of a text.

    A mask may also be spelt as the model's own tokenizer does, `<mask>` for RoBERTa's. A text that is
    longer than the model reads is cut, or refused with `strict`. Raises `UserError` for a text without
    a mask and for masks behind the cut, `UsageError` for a model that guesses no words.

    Example::

        for guess in fill("The [MASK] sat on the mat.", load_model("run")).guesses:
            print(guess.token, guess.probability)
    """
    model.require(MaskedLanguageModel)
    tokenizer = model.tokenizer
    if not isinstance(tokenizer, SubwordTokenizer) or tokenizer.mask is None:
        raise UsageError(
            f"the words of {model.name} have no token that hides one; choose another with --model"
        )
    mask = tokenizer.tokens[tokenizer.mask]
    parts = text.replace(MASK, mask).split(mask)
    if len(parts) == 1:
        raise UserError(f"{text[:40]!r} hides no word; write {MASK} where one is missing")
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
    logits[:, list(tokenizer.special)] = -torch.inf
    found = logits.softmax(-1).topk(min(top, logits.shape[1] - len(tokenizer.special)))
    guesses = []
    for place, (chances, words) in enumerate(zip(found.values.tolist(), found.indices.tolist(), strict=True)):
        before, after = MASK.join(parts[: place + 1]), MASK.join(parts[place + 1 :])
        for chance, word in zip(chances, words, strict=True):
            token = tokenizer.decode([word])
            guesses.append(Guess(_join(before, token, after, tokenizer), place, token.strip(), chance))
    return Filled(guesses, ids.count(tokenizer.unknown) if tokenizer.unknown is not None else 0, cut)


def _join(before: str, token: str, after: str, tokenizer: SubwordTokenizer) -> str:
    """A piece that goes on with the word before it stands next to it."""
    if token.startswith("##"):
        return before.rstrip() + token.removeprefix("##") + after
    # Bytes carry their own space, and RoBERTa's mask eats the one before it.
    joined = before.rstrip() + token if tokenizer.family == "roberta" else before + token
    return (joined if before else joined.lstrip()) + after
