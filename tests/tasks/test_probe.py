"""Probes of frozen features: k nearest neighbours against plain loops, a linear layer against its optimum."""

import math

import pytest
import torch
from torch.nn import functional as F

from showtell.errors import UsageError
from showtell.tasks import probe
from showtell.tasks.probe import choose_penalty, few_labels, knn, linear_probe


def clusters(
    count: int, classes: int = 4, width: int = 6, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    centres = 2 * torch.randn(4, 6, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    labels = torch.randint(4, (count,), generator=generator)
    return centres[labels] + torch.randn(count, 6, generator=generator, dtype=torch.float64), labels


def knn_by_loops(features, labels, queries, neighbours: int, temperature: float) -> list[int]:
    answers = []
    for query in queries.tolist():
        scored = []
        for feature, label in zip(features.tolist(), labels.tolist(), strict=True):
            dot = sum(x * y for x, y in zip(query, feature, strict=True))
            scored.append((dot / math.hypot(*query) / math.hypot(*feature), label))
        votes: dict[int, float] = {}
        for cosine, label in sorted(scored, reverse=True)[:neighbours]:
            votes[label] = votes.get(label, 0.0) + math.exp(cosine / temperature)
        answers.append(max(votes, key=lambda label: votes[label]))
    return answers


@pytest.mark.parametrize("neighbours", [1, 7, 60, 500])
@pytest.mark.parametrize("temperature", [0.07, 5.0])
def test_neighbours_against_loops(neighbours, temperature, monkeypatch) -> None:
    monkeypatch.setattr(probe, "CHUNK", 16)
    features, labels = clusters(60)
    queries, _ = clusters(40, seed=1)
    found = knn(features, labels, queries, neighbours, temperature)
    assert found.tolist() == knn_by_loops(features, labels, queries, neighbours, temperature)


def test_probes_find_what_is_there_and_not_what_is_not() -> None:
    features, labels = clusters(400)
    queries, truth = clusters(400, seed=1)
    noise = torch.randn(400, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for answer in (lambda x, q: knn(x, labels, q, 20), lambda x, q: linear_probe(x, labels, q)):
        assert (answer(features, queries) == truth).double().mean() > 0.85
        assert (answer(noise, queries) == truth).double().mean() < 0.45


@pytest.mark.parametrize("penalty", [0.05, 3.0])
def test_the_linear_probe_is_the_penalised_optimum(penalty) -> None:
    """Against torch's L-BFGS; classes of unequal size, so that a strong penalty changes the predictions."""
    features, labels = clusters(300)
    kept = (labels > 0) | (torch.arange(300) % 5 == 0)
    features, labels = features[kept], labels[kept]
    queries, _ = clusters(300, seed=1)
    known, queried = ((x - features.mean(0)) / features.std(0) for x in (features, queries))
    weight, bias = torch.zeros(4, 6, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    optimiser = torch.optim.LBFGS([weight.requires_grad_(), bias.requires_grad_()], max_iter=500)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(known @ weight.T + bias, labels) + penalty / 2 * weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    expected = (queried @ weight.T + bias).argmax(1)
    assert (linear_probe(features, labels, queries, penalty) == expected).double().mean() > 0.99


def test_scale_does_not_matter() -> None:
    features, labels = clusters(100)
    queries, _ = clusters(50, seed=1)
    assert torch.equal(knn(features, labels, queries, 9), knn(3 * features, labels, queries / 7, 9))
    stretched = torch.tensor([1000.0, 0.001, 1, 1, 1, 1], dtype=torch.float64)
    agree = linear_probe(features, labels, queries) == linear_probe(
        features * stretched, labels, queries * stretched
    )
    assert agree.double().mean() > 0.97


def test_a_constant_feature_is_no_trouble() -> None:
    features, labels = clusters(100)
    constant = torch.cat([features, torch.ones(100, 1)], 1)
    assert (linear_probe(constant, labels, constant) == labels).double().mean() > 0.9


def test_few_labels() -> None:
    labels = torch.tensor([2, 0, 0, 2, 0, 2, 2, 0])
    chosen = few_labels(labels, 2, seed=1)
    assert labels[chosen].bincount().tolist() == [2, 0, 2]
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert torch.equal(chosen, few_labels(labels, 2, seed=1))
    assert len({tuple(few_labels(labels, 2, seed=s).tolist()) for s in range(20)}) > 5
    with pytest.raises(UsageError, match=r"class 0 has 4 items.*labels_per_class=5"):
        few_labels(labels, 5)


def test_one_class_is_refused() -> None:
    features, _ = clusters(10)
    with pytest.raises(UsageError, match="two classes"):
        linear_probe(features, torch.zeros(10, dtype=torch.int64), features)


def test_the_penalty_is_chosen_on_items_held_out() -> None:
    """Many weakly informative features want a strong penalty; one decisive feature keeps the weakest."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % 2
    tells = (2.0 * labels - 1)[:, None]
    hints = 0.05 * tells + torch.randn(400, 300, generator=draw)
    assert choose_penalty(hints, labels) > choose_penalty(tells, labels)
    assert choose_penalty(hints[:18], labels[:18]) == choose_penalty(tells, labels)
