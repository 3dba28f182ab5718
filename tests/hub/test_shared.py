"""Backbones with a network in common: it runs once per image, and all features stay the same."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from showtell.hub import shared
from showtell.hub.backbone import Backbone
from showtell.hub.shared import RecentFeatures, sharing
from showtell.hub.side_by_side import side_by_side


def network(name: str, size: int = 4) -> tuple[Backbone, list[int]]:
    """One token per image, a weighted sum of its pixels; and how many images it read at each call."""
    calls: list[int] = []

    def run(pixels: np.ndarray) -> torch.Tensor:
        calls.append(len(pixels))
        rows = torch.from_numpy(pixels).flatten(1).float()
        return (rows * torch.arange(rows.shape[1])).sum(1)[:, None, None] * ord(name)

    features = torch.nn.Identity()
    return Backbone(name, size, 1, 1, name, f"squash{size}-v1", name, run, features), calls


@pytest.fixture
def images() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (9, 9, 3), np.uint8) for _ in range(6)]


def read(backbone: Backbone, images: list[np.ndarray]) -> torch.Tensor:
    return backbone(np.stack([backbone.prepare(image) for image in images]))


def test_a_network_in_common_runs_once(images) -> None:
    (a, read_by_a), (b, read_by_b) = network("a"), network("b", size=6)
    both = side_by_side([a, b])
    expected = [read(both, images), read(a, images)]
    read_by_a.clear(), read_by_b.clear()
    twice, nothing, once = sharing([both, None, a])
    assert nothing is None
    for backbone, known in zip((twice, once), expected, strict=True):
        assert torch.equal(read(backbone, images), known)
    assert (read_by_a, read_by_b) == ([6], [6])
    assert (twice.name, twice.hash, twice.preprocessing) == (both.name, both.hash, both.preprocessing)
    assert torch.equal(read(once, images[:2] * 2), expected[1][[0, 1, 0, 1]])
    assert read_by_a == [6]


def test_other_sizes_and_other_networks_are_others(images) -> None:
    (a, read_by_a), (larger, read_by_larger) = network("a"), network("a", size=6)
    alone, _ = network("b")
    first, second, third = sharing([a, larger, alone])
    assert (first, second, third) == (a, larger, alone), "nothing is in common"
    first, second = sharing([a, replace(a, name="the same by another name")])
    assert torch.equal(read(first, images), read(second, images))
    assert (read_by_a, read_by_larger) == ([6], [])


def test_only_what_is_new_is_computed_and_little_is_kept(images, monkeypatch) -> None:
    monkeypatch.setattr(shared, "KEPT", 4)
    a, calls = network("a")
    recent = RecentFeatures(a.run)
    pixels = np.stack([a.prepare(image) for image in images])
    expected = a.run(pixels)
    calls.clear()
    for places, new in (([0, 1], 2), ([1, 2, 2], 1), ([0, 1, 2], 0), ([3, 4], 2), ([0, 4], 1)):
        calls.clear()
        assert torch.equal(recent(pixels[places]), expected[places])
        assert sum(calls) == new
