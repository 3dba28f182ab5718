"""Figures of classes and tags, against naive loops."""

import numpy as np
import pytest

from showtell.tasks.text_figures import class_figures, entities, tag_figures


def test_f1_against_loops_and_a_class_that_never_occurs_left_out() -> None:
    generator = np.random.default_rng(0)
    truth, said = generator.integers(0, 3, 200), generator.integers(0, 4, 200)
    scores = []
    for label in range(3):
        found = sum(a == b == label for a, b in zip(truth, said, strict=True))
        precision, recall = found / (said == label).sum(), found / (truth == label).sum()
        scores.append(2 * precision * recall / (precision + recall))
    figures = class_figures(truth, said, 5)
    assert figures["f1"] == pytest.approx(np.mean(scores))
    assert figures["accuracy"] == pytest.approx((truth == said).mean())


def test_the_standard_error_of_an_accuracy_is_that_of_a_share() -> None:
    truth = np.arange(400) % 2
    said = np.where(np.arange(400) % 4, truth, 1 - truth)
    figures = class_figures(truth, said, 2)
    assert figures["accuracy_se"] == pytest.approx((0.75 * 0.25 / 400) ** 0.5, rel=0.15)


def test_entities_begin_and_end_as_conlleval_has_them() -> None:
    assert entities(["O", "I-a", "I-b", "B-b", "I-b", "I-a"]) == {
        (1, 2, "a"),
        (2, 3, "b"),
        (3, 5, "b"),
        (5, 6, "a"),
    }
    assert entities(["", "B-a"]) == {(1, 2, "a")}


def test_an_entity_counts_only_whole_and_with_its_type() -> None:
    truth = [["B-a", "I-a", "O", "B-b"], ["O", "O"]]
    said = [["B-a", "I-a", "O", "B-a"], ["B-b", "O"]]
    figures = tag_figures(truth, said)
    assert figures["f1"] == pytest.approx(2 * 1 / (2 + 3))
    assert figures["accuracy"] == pytest.approx(4 / 6)
    assert "f1" not in tag_figures([["NOUN"]], [["VERB"]])
