from itertools import product

import pytest

from showtell.data.qa.answers import normalise_answer, soft_scores


def leave_one_out(answers: list[str], said: str) -> float:
    """The official accuracy, in the plain loops of its definition."""
    total = 0.0
    for person in range(len(answers)):
        others = [answer for other, answer in enumerate(answers) if other != person]
        total += min(1.0, sum(answer == said for answer in others) / 3)
    return total / len(answers)


@pytest.mark.parametrize("yes", range(1, 10))
def test_scores_are_the_official_accuracy_of_each_answer(yes: int) -> None:
    answers = ["yes"] * yes + ["no"] * (10 - yes)
    assert dict(soft_scores(answers)) == pytest.approx({a: leave_one_out(answers, a) for a in ("yes", "no")})


def test_the_scores_of_one_to_four_of_ten_people() -> None:
    found = [dict(soft_scores(["a"] * n + [f"b{i}" for i in range(10 - n)]))["a"] for n in (1, 2, 3, 4, 10)]
    assert found == [0.3, 0.6, 0.9, 1.0, 1.0]
    assert soft_scores(["alone"]) == (("alone", 1.0),)
    assert soft_scores(["a", "a"]) == (("a", 1.0),)
    assert soft_scores(["a", "b"]) == (("a", 0.5), ("b", 0.5))


@pytest.mark.parametrize(
    ("answer", "alike"),
    [
        ("The dog.", "dog"),
        ("a  Dog", "dog"),
        ("two", "2"),
        ("None", "0"),
        ("dont", "don't"),
        ("wouldn'tve", "wouldn't've"),
        ("its", "its"),  # a word of its own
        ("well", "well"),
        ("3.5", "3.5"),
        ("U.S.", "us"),
        ("1,000", "1000"),
        ("red/white", "red white"),
        ("red, white", "red white"),
    ],
)
def test_answers_are_spelt_alike(answer: str, alike: str) -> None:
    assert normalise_answer(answer) == alike


def test_normalising_twice_changes_nothing() -> None:
    for words in product(["a", "Two", "cant", "x-y", "7.", "what?"], repeat=2):
        once = normalise_answer(" ".join(words))
        assert normalise_answer(once) == once
