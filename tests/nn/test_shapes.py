"""Shapes in signatures are checked in tests, and cost nothing in production."""

import subprocess
import sys

import pytest
import torch
from jaxtyping import TypeCheckError

from showtell.nn.attention import Attention
from showtell.nn.mask import attention_mask
from showtell.nn.transformer import Transformer
from showtell.objectives.causal_tokens import causal_tokens
from showtell.objectives.contrastive import info_nce
from showtell.objectives.masked_pixels import masked_pixels


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda: info_nce(torch.ones(4, 3), torch.ones(4, 2), 1.0), id="another width"),
        pytest.param(lambda: info_nce(torch.ones(4), torch.ones(4), 1.0), id="an axis too few"),
        pytest.param(lambda: info_nce(torch.ones(2, 2), torch.ones(2, 2), torch.ones(2)), id="not a scalar"),
        pytest.param(lambda: causal_tokens(torch.ones(4, 9), torch.ones(3).long()), id="another length"),
        pytest.param(lambda: causal_tokens(torch.ones(4, 9), torch.ones(4)), id="another type"),
        # Broadcasting would accept both of these silently.
        pytest.param(
            lambda: masked_pixels(torch.ones(2, 3, 4), torch.ones(1, 3, 4), torch.ones(2, 3).bool()),
            id="objective that broadcasts",
        ),
        pytest.param(
            lambda: Attention(8, 2)(torch.ones(2, 3, 8), mask=torch.ones(2, 1, 3, 3)),
            id="mask of numbers, which are added",
        ),
        pytest.param(
            lambda: Transformer(8, 1, 2, 8, norm="pre")(torch.ones(2, 3, 8), torch.ones(2, 1, 3, 4).bool()),
            id="mask for more keys",
        ),
        pytest.param(
            lambda: attention_mask(torch.ones(2, 3).bool(), queries=3, segments=torch.ones(1, 3).long()),
            id="segments of another batch",
        ),
    ],
)
def test_a_wrong_shape_is_refused(call):
    with pytest.raises(TypeCheckError):
        call()


def test_a_result_of_the_wrong_shape_is_refused():
    """The signature is checked for the result too: a last layer that joins the tokens is caught."""
    transformer = Transformer(8, 1, 2, 8, norm="pre")
    transformer.norm = torch.nn.Flatten()
    with pytest.raises(TypeCheckError):
        transformer(torch.ones(2, 3, 8))


def test_production_checks_nothing():
    """Nothing wraps the functions, the checker is not loaded, and a pair that only broadcasts computes."""
    program = """
import sys, torch
from showtell.nn.transformer import Transformer
from showtell.objectives.causal_tokens import causal_tokens
from showtell.objectives.masked_pixels import masked_pixels
assert "beartype" not in sys.modules
for function in (causal_tokens, masked_pixels, Transformer.forward):
    assert not hasattr(function, "__wrapped__"), function
print(masked_pixels(torch.ones(2, 3, 4), torch.ones(1, 3, 4), torch.ones(2, 3).bool()).item())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "0.0"
