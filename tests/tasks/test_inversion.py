"""Inversion descends, stops in time, and leaves the network alone."""

import pytest
import torch

from showtell.tasks.inversion import Prior, invert, nearest
from support.captioners import END, START, encode, make


@pytest.mark.parametrize("kind", ["lstm", "gru", "attend"])
def test_inversion_descends_and_leaves_the_network_alone(kind):
    system = make(kind)
    before = {k: v.clone() for k, v in system.state_dict().items()}
    encoded = encode(system, 40)
    prior = Prior.of(encoded.pooled)
    queries = [[START, 4, 5, END], [START, 5, END]]
    found = invert(system, queries, prior, starts=3, steps=60, tolerance=-1.0)
    for inversion in found:
        assert inversion.losses[-1] < inversion.losses[0] - 0.05
        assert inversion.vectors.shape == (3, encoded.pooled.shape[1])
    assert all(torch.equal(v, before[k]) for k, v in system.state_dict().items())
    assert all(p.grad is None for p in system.parameters())
    again = invert(system, queries, prior, starts=3, steps=60, tolerance=-1.0)
    assert torch.equal(found[0].vectors, again[0].vectors)


def test_the_prior_stays_on_the_device_of_the_images():
    prior = Prior.of(torch.empty(5, 8, device="meta"))
    assert prior.basis.shape == (8, 5)
    assert prior.mean.device.type == prior.basis.device.type == "meta"


def test_inversion_stops_when_the_gain_is_small_or_the_loss_is_low():
    system = make("lstm")
    prior = Prior.of(encode(system, 40).pooled)
    assert len(invert(system, [[START, 4, END]], prior, steps=500, tolerance=0.5)[0].losses) <= 30
    assert len(invert(system, [[START, 4, END]], prior, steps=500, threshold=1e9)[0].losses) == 1


def test_the_inverted_representation_is_nearest_to_itself():
    system = make("lstm")
    encoded = encode(system, 40)
    prior = Prior.of(encoded.pooled)
    (inversion,) = invert(system, [[START, 4, END]], prior, starts=1, steps=5)
    images = torch.cat([encoded.pooled, inversion.vectors])
    scores = nearest(inversion, images)
    assert scores.argmax() == 40
    assert scores[40].item() == pytest.approx(1.0, abs=1e-5)
