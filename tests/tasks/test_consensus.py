"""The caption that the others agree with: against loops, and that an outlier is not chosen."""

import math
from collections import Counter

from showtell.tasks.consensus import by_consensus
from showtell.tasks.decoding import Hypothesis

DOG = Hypothesis((4, 9, 21, 30), -9.0)
RUNS = Hypothesis((4, 9, 21, 30, 5, 44), -9.5)
ODD = Hypothesis((77, 80), -8.5)


def test_the_most_probable_caption_loses_to_two_that_agree() -> None:
    assert by_consensus([ODD, DOG, RUNS]) == [DOG, RUNS, ODD]


def test_a_caption_that_is_probable_enough_needs_nobody() -> None:
    sure = Hypothesis(ODD.ids, 30.0 + DOG.logprob)
    assert by_consensus([DOG, RUNS, sure])[0] is sure


def test_a_lone_hypothesis_is_chosen_even_an_empty_one() -> None:
    assert by_consensus([Hypothesis((), -1.0)]) == [Hypothesis((), -1.0)]


def test_likeness_to_the_image_counts_beside_the_agreement() -> None:
    assert by_consensus([DOG, RUNS, ODD], [0.2, 0.2, 0.2]) == [DOG, RUNS, ODD]
    assert by_consensus([DOG, RUNS, ODD], [0.2, 0.7, 0.2])[0] is RUNS
    assert by_consensus([DOG, RUNS, ODD], [-0.5, 0.0, 0.5])[0] is ODD


def test_against_loops() -> None:
    hypotheses = [
        Hypothesis((4, 5, 6, 5), -3.0),
        Hypothesis((4, 5, 7), -2.0),
        Hypothesis((5, 6, 5, 7, 9), -2.5),
    ]

    def vector(ids, order):
        grams = Counter(tuple(ids[i : i + order]) for i in range(len(ids) - order + 1))
        return {gram: n * math.log(math.prod(1 + token for token in gram)) for gram, n in grams.items()}

    def gain(one, other):
        total = 0.0
        for order in (1, 2, 3, 4):
            a, b = vector(one.ids, order), vector(other.ids, order)
            dot = sum(min(a.get(gram, 0), b[gram]) * b[gram] for gram in b)
            norms = math.hypot(*a.values()) * math.hypot(*b.values())
            total += dot / norms if norms else 0.0
        return total / 4 * math.exp(-((len(one.ids) - len(other.ids)) ** 2) / 72)

    weights = [math.exp(one.logprob / 4) for one in hypotheses]
    scores = {
        one.ids: sum(w * gain(one, other) for w, other in zip(weights, hypotheses, strict=True))
        for one in hypotheses
    }
    found = [scores[one.ids] for one in by_consensus(hypotheses)]
    assert found == sorted(scores.values(), reverse=True)
