"""Dot-product attention over keys that are computed once, against plain loops."""

import math

import pytest
import torch

from showtell.nn.dot_attention import DotAttention
from showtell.nn.watch import watch_attention


def test_it_is_that_of_the_paper_head_by_head():
    torch.manual_seed(0)
    attention = DotAttention(8, 5, 6, num_heads=2).double()
    tokens, query = torch.randn(2, 4, 8).double(), torch.randn(2, 3, 5).double()
    with watch_attention() as maps:
        found, weights = attention(query, attention.prefill(tokens))
    for image in range(2):
        for q in range(3):
            parts, alphas = [], []
            for head in range(2):
                asked = attention.query(query[image, q])[3 * head : 3 * head + 3]
                keys = [attention.key(token)[3 * head : 3 * head + 3] for token in tokens[image]]
                alpha = torch.stack([(asked * key).sum() / math.sqrt(3) for key in keys]).softmax(0)
                parts.append(
                    sum(a * t[4 * head : 4 * head + 4] for a, t in zip(alpha, tokens[image], strict=True))
                )
                alphas.append(alpha)
            torch.testing.assert_close(found[image, q], torch.cat(parts))
            torch.testing.assert_close(weights[image, q], sum(alphas) / 2)
    torch.testing.assert_close(maps[0], weights)


def test_heads_that_do_not_divide_a_width_are_refused():
    for widths in ((8, 5, 5, 2), (7, 5, 6, 2)):
        with pytest.raises(ValueError, match="cannot be divided among 2 heads"):
            DotAttention(*widths)
