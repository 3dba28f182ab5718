"""How well a system knows the words of texts: hidden ones by the rest, next ones by what came before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.objectives.causal_tokens import predicted
from showtell.objectives.masked_tokens import Masked
from showtell.protocols import CausalLanguageModel, MaskedLanguageModel


@dataclass(frozen=True)
class Score:
    """Sums over the words that were to be said."""

    nats: float
    """`-log p` of them together."""
    right: int
    """How many of them were the likeliest."""
    count: int


@torch.inference_mode()
def predict_masked(system: MaskedLanguageModel, batches: Iterable[tuple[Batch, Masked]]) -> Score:
    """Guess the words that are hidden in each batch."""

    def answers() -> Iterable[tuple[Tensor, Tensor]]:
        for batch, (ids, masked) in batches:
            tokens = system.encode_texts(replace(batch, texts=replace(batch.texts, ids=ids))).tokens
            yield system.masked_token_logits(tokens[masked]), batch.texts.ids[masked]

    return _add(answers())


@torch.inference_mode()
def predict_next(system: CausalLanguageModel, batches: Iterable[Batch]) -> Score:
    """Predict every word of each text but its first."""

    def answers() -> Iterable[tuple[Tensor, Tensor]]:
        for batch in batches:
            chosen = predicted(batch.texts.keep, batch.texts.sequences)
            tokens = system.encode_texts(batch).tokens[:, :-1]
            yield system.next_token_logits(tokens[chosen]), batch.texts.ids[:, 1:][chosen]

    return _add(answers())


def _add(answers: Iterable[tuple[Tensor, Tensor]]) -> Score:
    nats, right, count = 0.0, 0, 0
    for logits, targets in answers:
        nats += F.cross_entropy(logits, targets, reduction="sum").item()
        right += int((logits.argmax(-1) == targets).sum())
        count += len(targets)
    return Score(nats, right, count)
