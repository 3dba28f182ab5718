import pytest
import torch

from showtell.tasks.image_answers import answer_accuracy, without_images


def test_the_accuracy_is_the_mean_score_of_what_was_said() -> None:
    scores = torch.tensor([[1.0, 0.3], [0.0, 0.6], [0.0, 0.0], [0.9, 0.0]])
    found = answer_accuracy(scores, torch.tensor([0, 1, 0, 1]))
    assert found["accuracy"] == pytest.approx(0.4)
    assert 0 < found["accuracy_se"] < 0.5


def test_words_of_the_question_tell_what_the_majority_does_not() -> None:
    texts = ["what colour", "is it red"] * 20
    scores = torch.eye(3)[torch.tensor([0, 1] * 20)]
    found = without_images(texts, scores, ["what colour", "is it red", "is it red"], torch.eye(3)[[0, 1, 1]])
    assert found["question_alone"] == 1.0
    assert found["majority"] in (pytest.approx(1 / 3), pytest.approx(2 / 3))
    one = without_images(texts, torch.eye(3)[torch.zeros(40, dtype=torch.long)], ["who"], torch.eye(3)[[0]])
    assert one["question_alone"] == one["majority"] == 1.0
