"""Projections of frozen features: standardised over the training data, a hidden layer beside a linear map."""

import numpy as np
import pytest
import torch

from showtell.nn.projection import BesideHidden, Standardise


@pytest.mark.parametrize("root", [False, True])
def test_training_vectors_have_mean_0_and_deviation_1(root) -> None:
    vectors = torch.randn(500, 3, generator=torch.Generator().manual_seed(0)).exp() * 9
    scale = Standardise(3, root=root)
    scale.fit(vectors)
    plain = vectors.double().numpy() ** (0.5 if root else 1)
    expected = (plain - plain.mean(0)) / (plain.std(0, ddof=1) + 1e-3)
    np.testing.assert_allclose(scale(vectors).numpy(), expected, atol=1e-4)
    assert dict(scale.named_parameters()) == {}, "they are not trained"


def test_a_root_keeps_the_sign_and_a_constant_feature_stays_finite() -> None:
    scale = Standardise(2, root=True)
    assert scale(torch.tensor([[-4.0, 9.0]])).tolist() == [[-2.0, 3.0]]
    scale.fit(torch.tensor([[1.0, 7.0], [4.0, 7.0]]))
    assert scale(torch.tensor([[1.0, 7.0]]))[0, 1] == 0


def test_the_hidden_layer_is_added_and_dropped_in_training_alone() -> None:
    torch.manual_seed(0)
    projection = BesideHidden(4, 8, 3, dropout=0.5)
    vectors = torch.randn(2, 4)
    hidden = torch.nn.functional.gelu(vectors @ projection.up.weight.T + projection.up.bias)
    expected = vectors @ projection.linear.weight.T + projection.linear.bias
    expected = expected + hidden @ projection.down.weight.T + projection.down.bias
    assert not torch.allclose(projection(vectors), projection(vectors))
    torch.testing.assert_close(projection.eval()(vectors), expected)
