"""CTC's best path equals the definition: merge repeats, then drop blanks."""

from itertools import groupby

import numpy as np
import pytest

from showtell.tasks.ctc import ctc_greedy

CHARACTERS = ["", "a", "b", "c"]


@pytest.mark.parametrize("seed", range(20))
def test_the_best_path_equals_the_definition(seed) -> None:
    path = np.random.default_rng(seed).integers(4, size=12)
    expected = "".join(CHARACTERS[i] for i, _ in groupby(path))
    assert ctc_greedy(np.eye(4)[path], CHARACTERS)[0] == expected


def test_confidence_is_the_mean_of_what_is_written() -> None:
    probabilities = np.array([[0.1, 0.9, 0, 0], [0.2, 0.8, 0, 0], [0.99, 0.01, 0, 0], [0.3, 0, 0.7, 0]])
    assert ctc_greedy(probabilities, CHARACTERS) == ("ab", pytest.approx((0.9 + 0.7) / 2))
    assert ctc_greedy(np.eye(4)[[0, 0]], CHARACTERS) == ("", 0.0)


def test_a_faint_space_is_written_once_and_never_beside_a_space_or_at_an_end() -> None:
    characters = ["", "a", " "]
    faint, a, space = [0.9, 0.0, 0.1], [0, 1, 0], [0, 0, 1]
    assert ctc_greedy(np.array([faint, a, faint, faint, a, faint]), characters, space=0.05)[0] == "a a"
    assert ctc_greedy(np.array([a, faint, space, faint, a]), characters, space=0.05)[0] == "a a"
    assert ctc_greedy(np.array([a, faint, a]), characters)[0] == "aa"
