"""Answers to questions about images, and how right they are, beside what knows no image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from showtell.data.batch import Batch
from showtell.pairing import PairAnswerer
from showtell.tasks.probe import bag_of_words
from showtell.tasks.text_figures import with_error

MOST = 20_000
"""Questions that the baseline without images is fitted to, evenly spread, where there are more."""


@torch.no_grad()
def answer_logits(system: PairAnswerer, batches: Iterable[Batch]) -> Float[Tensor, "N K"]:
    """The logits of the answers to the questions of batches, on the CPU."""
    return torch.cat([system.answer(batch).float().cpu() for batch in batches])


def answer_accuracy(scores: Float[Tensor, "N K"], said: Tensor) -> dict[str, float]:
    """`accuracy`, the mean score of the answers `said [N]`, and its standard error.

    Where people's answers have soft scores this is the official accuracy of VQA.

    >>> found = answer_accuracy(torch.tensor([[1.0, 0.0], [0.3, 0.6]]), torch.tensor([0, 1]))
    >>> round(found["accuracy"], 3)
    0.8
    """
    gained = scores.gather(1, said[:, None]).numpy().astype(np.float64)
    return with_error("accuracy", gained, lambda sums: sums[..., 0] / len(gained))


def without_images(
    texts: Sequence[str], scores: Float[Tensor, "N K"], asked: Sequence[str], truth: Float[Tensor, "M K"]
) -> dict[str, float]:
    """Accuracies of two answers that look at no image: `majority`, and `question_alone` by a bag of words.

    `scores` are those of the training questions `texts`, `truth` those of the questions `asked`.
    """
    majority = scores.sum(0).argmax().expand(len(truth))
    found = {"majority": answer_accuracy(truth, majority)["accuracy"]}
    some = torch.linspace(0, len(texts) - 1, min(len(texts), MOST)).round().long()
    labels = scores[some].argmax(1)
    said = majority
    if len(labels.unique()) > 1:
        said = bag_of_words([texts[i] for i in some.tolist()], labels, asked)
    alone = answer_accuracy(truth, said)
    return {**found, "question_alone": alone["accuracy"], "question_alone_se": alone["accuracy_se"]}
