"""Charts of a run's health: points where they belong, gaps where a value is not finite."""

import math

import pytest

from showtell.explain.collapse import Health
from showtell.html.curves import BOTTOM, LEFT, RIGHT, TOP, chart, write_curves
from support.html_page import HOSTILE, Page


def test_points_span_the_plotting_area():
    drawn = chart([10, 20, 30], [0.0, 1.0, 4.0], None)
    assert drawn.lines == [f"{LEFT}.0,{BOTTOM}.0 {(LEFT + RIGHT) / 2},146.5 {RIGHT}.0,{TOP}.0"]
    assert drawn.ticks == [("0", BOTTOM), ("4", TOP)]
    assert (drawn.first, drawn.last, drawn.mark) == (10, 30, None)


def test_the_mark_widens_the_axis():
    assert chart([0, 1], [3.0, 4.0], 2.0).mark == BOTTOM
    assert chart([0, 1], [0.0, 1.0], 2.0).mark == TOP


@pytest.mark.parametrize("gap", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_leaves_a_gap_and_a_lone_point_a_dot(gap):
    first, second = chart([0, 1, 2, 3], [1.0, gap, 2.0, 3.0], None).lines
    point, same = first.split()
    assert point == same
    assert len(second.split()) == 2


@pytest.mark.parametrize("values", [[], [5.0], [5.0, 5.0], [math.nan]])
def test_any_history_is_a_page(tmp_path, values):
    path = tmp_path / "health.html"
    write_curves(path, HOSTILE, [(i, Health(v, v, v, v)) for i, v in enumerate(values)], HOSTILE)
    page = Page(path.read_text("utf-8"))
    assert len(page.all("svg")) == 4
    assert page.text.count(HOSTILE) == 3  # title, heading, verdict
    assert len(page.all("script")) == 1
