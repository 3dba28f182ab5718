"""The best by exact scores, though only some are computed."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from showtell.tasks.shortlist import FEWEST, exact_scores_of_the_best


def found(rough, exact, top):
    """The scores, and of how many indices the exact ones were asked for, each once."""
    asked = []

    def some(rows):
        asked.extend(rows)
        return exact[rows]

    scores = exact_scores_of_the_best(rough, some, top)
    assert len(asked) == len(set(asked))
    assert torch.equal(scores.isfinite().nonzero()[:, 0], torch.tensor(sorted(asked), dtype=torch.long))
    assert torch.equal(scores[asked], exact[asked])
    return scores, len(asked)


@given(
    st.integers(0, 2**31), st.integers(1, 200), st.integers(1, 20), st.sampled_from([1e-6, 1e-3, 0.1, 1.0])
)
def test_the_best_are_the_best_by_exact_scores(seed, size, top, noise):
    generator = torch.Generator().manual_seed(seed)
    exact = torch.randn(size, generator=generator)
    # Of bounded deviations the largest of sixteen or more is almost surely more than half of the bound.
    rough = exact + noise * (2 * torch.rand(size, generator=generator) - 1)
    scores, _ = found(rough, exact, top)
    assert torch.equal(scores.topk(min(top, size)).indices, exact.topk(min(top, size)).indices)


def test_few_are_computed_where_the_rough_scores_are_close():
    exact = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    assert found(exact + 1e-4, exact, 10)[1] == 20
    assert found(exact + 1e-4, exact, 1)[1] == FEWEST


def test_what_a_deviation_leaves_open_is_computed():
    exact = torch.arange(100.0)
    rough = exact.clone()
    rough[99] = 82.0  # the best, which is not among the first sixteen
    assert found(rough, exact, 5)[0][99] == -torch.inf, "while nothing says that rough scores deviate"
    rough[98] = 88.0  # ten too low and among the sixteen: others may be twenty too low
    scores, count = found(rough, exact, 5)
    assert scores.topk(5).indices.tolist() == [99, 98, 97, 96, 95]
    assert count == 39, "seventeen too low, once that is known: whatever is above 95 - 34"


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_rough_score_that_is_no_number_leaves_everything_open(bad):
    exact = torch.arange(50.0)
    rough = exact.clone()
    rough[3] = bad
    assert found(rough, exact, 2)[1] == 50


def test_nothing_to_find():
    assert found(torch.empty(0), torch.empty(0), 3)[1] == 0
    assert found(torch.arange(5.0), torch.arange(5.0), 0)[1] == 5
