"""Figures of documents against values worked out by hand."""

import pytest

from showtell.data.documents.materials import KIND
from showtell.tasks.document_figures import document_figures, field_scores


def test_scores_of_a_field() -> None:
    assert field_scores("RM 9.00", "9.00") == pytest.approx((0, 0, 0.8))
    assert field_scores("广州市天河区", "广州市") == pytest.approx((0, 0, 2 / 3))
    assert field_scores("", "x") == (0, 0, 0)


def test_materials_are_paired_and_what_has_no_partner_is_wrong() -> None:
    truth = [
        [{KIND: "a", "x": "1", "y": "2"}, {KIND: "a", "x": "3"}, {KIND: "b", "z": "5"}],
        [{KIND: "a", "x": "1"}],
    ]
    said = [[{KIND: "a", "x": "3"}, {KIND: "a", "x": "1", "y": "2 "}], [{KIND: "b", "z": "1"}]]
    found = document_figures(truth, said)
    assert found["kinds"] == pytest.approx(2 * 2 / 7)
    assert found["by_field"]["a/x"]["exact"] == pytest.approx(2 / 3)
    assert found["by_field"]["a/y"] == {"exact": 0, "normalised": 1, "f1": 1}
    assert found["by_field"]["b/z"]["f1"] == 0
    assert found["exact"] == pytest.approx((2 / 3 + 0 + 0) / 3)
    assert found["by_kind"]["a"]["normalised"] == pytest.approx((2 / 3 + 1) / 2)
    assert document_figures([[]], [[]])["kinds"] == 1
