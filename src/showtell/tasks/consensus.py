"""The caption that the others agree with: of the hypotheses of a beam, the one nearest to all."""

from __future__ import annotations

import math
from collections.abc import Sequence

from showtell.tasks.decoding import Hypothesis
from showtell.tasks.metrics import CIDER_SIGMA, NGRAM_ORDER, clipped_cosine, ngrams, norm

TEMPERATURE = 4.0
"""A beam holds the most probable captions alone, which stand for less probable ones like them."""
SEEN = 32.0
"""Nats that a cosine of caption and image is worth beside the log-probability."""


def by_consensus(hypotheses: Sequence[Hypothesis], cosines: Sequence[float] = ()) -> list[Hypothesis]:
    """The hypotheses, those first that agree most with all: of minimum Bayes risk, where CIDEr is the gain.

        agreement_i = sum_j softmax((logprob + 32 cosine) / 4)_j CIDEr(i, j)

    Here the words of CIDEr are tokens. Instead of document frequencies a token has its rank, which its id is
    in a vocabulary by frequency: by Zipf's law its frequency is that of the first over its rank. `cosines`
    are those of each hypothesis and the image, where the model compares them; else 0.

    Source: Kumar & Byrne 2004, "Minimum Bayes-risk decoding for statistical machine translation"; of captions
    Devlin et al. 2015, "Exploring nearest neighbor approaches for image captioning", the consensus caption.
    """
    seen = cosines or [0.0] * len(hypotheses)
    logits = [one.logprob + SEEN * cosine for one, cosine in zip(hypotheses, seen, strict=True)]
    beliefs = [math.exp((logit - max(logits)) / TEMPERATURE) for logit in logits]
    weighted = [_weighted(one.ids) for one in hypotheses]
    agreement = [
        sum(
            belief * _likeness(one, other, len(hypothesis.ids) - len(second.ids))
            for belief, other, second in zip(beliefs, weighted, hypotheses, strict=True)
        )
        for one, hypothesis in zip(weighted, hypotheses, strict=True)
    ]
    order = sorted(range(len(hypotheses)), key=lambda number: -agreement[number])
    return [hypotheses[number] for number in order]


Weighted = list[tuple[dict[tuple[int, ...], float], float]]
"""Per order of n-grams their weights, and the norm."""


def _weighted(ids: Sequence[int]) -> Weighted:
    """Each n-gram as often as it is said, times the logarithms of its tokens' ranks."""
    found = []
    for order in range(1, NGRAM_ORDER + 1):
        vector = {
            gram: count * sum(math.log(1 + token) for token in gram)
            for gram, count in ngrams(ids, order).items()
        }
        found.append((vector, norm(vector)))
    return found


def _likeness(one: Weighted, other: Weighted, longer: int) -> float:
    """CIDEr of one against the other, from 0 to 1."""
    cosines = sum(clipped_cosine(*a, *b) for a, b in zip(one, other, strict=True))
    return cosines / NGRAM_ORDER * math.exp(-(longer**2) / (2 * CIDER_SIGMA**2))
