"""Teacher forcing gives the probability that decoding gives, step by step."""

import itertools

import pytest
import torch

from showtell.tasks.likelihood import likelihood, negative_log_likelihood
from support.captioners import END, START, encode, make


def step_by_step(system, encoded, image, ids) -> float:
    """Log-probability of the tokens after the start, one decoding step each."""
    memory = system.prefill(encoded[image : image + 1])
    state, total = system.initial_state(memory), 0.0
    for token, target in itertools.pairwise(ids):
        logits, state = system.step(memory, state, torch.tensor([[token]]))
        total += logits[0, 0].log_softmax(-1)[target].item()
    return total


def test_likelihood_is_the_mean_log_probability_per_token():
    system = make("attend")
    encoded = encode(system, 5)
    ids = [START, 4, 5, END]
    scores = likelihood(system, ids, system.prefill(encoded), chunk=2)
    for image in range(5):
        assert scores[image].item() == pytest.approx(step_by_step(system, encoded, image, ids) / 3, abs=1e-5)


@pytest.mark.parametrize("kind", ["gru", "attend"])
def test_captions_of_any_length_and_number_add_up(kind):
    system = make(kind)
    encoded = encode(system, 3)
    captions = [[[START, 4, END], [START, 5, 4, 5, END]], [], [[START, END]]]
    total, count = negative_log_likelihood(system, encoded, captions)
    expected = sum(
        step_by_step(system, encoded, image, ids) for image, rows in enumerate(captions) for ids in rows
    )
    assert total == pytest.approx(-expected, abs=1e-4)
    assert count == 2 + 4 + 1
