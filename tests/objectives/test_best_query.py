"""The most alike of several vectors against loops."""

import pytest
import torch

from showtell.objectives.best_query import best_query


def test_the_best_of_an_images_vectors_counts():
    torch.manual_seed(0)
    images, texts = torch.randn(3, 4, 5).double(), torch.randn(2, 5).double()
    found = best_query(images, texts)
    for r in range(2):
        for b in range(3):
            products = [sum((q[d] * texts[r, d]).item() for d in range(5)) for q in images[b]]
            assert found[r, b].item() == pytest.approx(max(products), abs=1e-12)
