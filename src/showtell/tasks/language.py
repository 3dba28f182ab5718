"""How well a language model predicts the tokens of texts: masked ones, or each next one."""

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
    """Sums over the predicted tokens."""

    nll: float
    """Negative log-likelihood, nats."""
    correct: int
    """How many were the model's first choice."""
    count: int


@torch.inference_mode()
def predict_masked(system: MaskedLanguageModel, batches: Iterable[tuple[Batch, Masked]]) -> Score:
    """The masked tokens of each batch, predicted from its corrupted ids."""

    def answers() -> Iterable[tuple[Tensor, Tensor]]:
        for batch, (ids, masked) in batches:
            tokens = system.encode_texts(replace(batch, texts=replace(batch.texts, ids=ids))).tokens
            yield system.masked_token_logits(tokens[masked]), batch.texts.ids[masked]

    return _add(answers())


@torch.inference_mode()
def predict_next(system: CausalLanguageModel, batches: Iterable[Batch]) -> Score:
    """Every token of each text but its first, predicted from those before it."""

    def answers() -> Iterable[tuple[Tensor, Tensor]]:
        for batch in batches:
            chosen = predicted(batch.texts.keep, batch.texts.sequences)
            tokens = system.encode_texts(batch).tokens[:, :-1]
            yield system.next_token_logits(tokens[chosen]), batch.texts.ids[:, 1:][chosen]

    return _add(answers())


def _add(answers: Iterable[tuple[Tensor, Tensor]]) -> Score:
    nll, correct, count = 0.0, 0, 0
    for logits, targets in answers:
        nll += F.cross_entropy(logits, targets, reduction="sum").item()
        correct += int((logits.argmax(-1) == targets).sum())
        count += len(targets)
    return Score(nll, correct, count)
