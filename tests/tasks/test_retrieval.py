"""Ranks in both directions equal a full sort."""

import numpy as np
import pytest
import torch

from showtell.tasks import retrieval
from showtell.tasks.retrieval import ranks_both_ways


@pytest.mark.parametrize("chunk", [3, 1024])
def test_ranks_equal_a_full_sort(monkeypatch, chunk) -> None:
    monkeypatch.setattr(retrieval, "CHUNK", chunk)
    generator = torch.Generator().manual_seed(0)
    images, texts = torch.randn(8, 4, generator=generator), torch.randn(20, 4, generator=generator)
    owner = torch.cat([torch.arange(8), torch.randint(8, (12,), generator=generator)])
    of_texts, of_images = ranks_both_ways(images, texts, owner)
    cosine = torch.cosine_similarity(texts[:, None], images[None], dim=-1)
    for text in range(20):
        order = cosine[text].argsort(descending=True).tolist()
        assert of_texts[text] == order.index(owner[text]) + 1
    for image in range(8):
        order = cosine[:, image].argsort(descending=True).tolist()
        assert of_images[image] == min(order.index(t) for t in range(20) if owner[t] == image) + 1


def test_a_model_with_equal_scores_finds_nothing() -> None:
    ones = torch.ones(4, 2)
    of_texts, of_images = ranks_both_ways(ones, ones[[0, 0, 0, 0, 0, 0]], torch.tensor([0, 1, 2, 3, 0, 1]))
    assert of_texts.tolist() == [4] * 6
    assert of_images.tolist() == [5, 5, 6, 6], "all but the image's own come first"
    broken, _ = ranks_both_ways(ones * torch.nan, ones, torch.arange(4))
    np.testing.assert_array_equal(broken, 4)
