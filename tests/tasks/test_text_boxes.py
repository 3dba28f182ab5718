"""Boxes of text from a probability map, and their reading order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from showtell.tasks.text_boxes import reading_order, rectangle, text_boxes


def drawn(size, centre, length, height, angle):
    """1 inside a rectangle turned by `angle` degrees, clockwise as images have it."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    along = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    u = (x - centre[0]) * along[0] + (y - centre[1]) * along[1]
    v = -(x - centre[0]) * along[1] + (y - centre[1]) * along[0]
    return ((abs(u) <= length / 2) & (abs(v) <= height / 2)).astype(np.float32)


@pytest.mark.parametrize("angle", [0, 12, -30, 44, 60, 90, -60])
def test_a_rectangle_is_found_and_enlarged(angle) -> None:
    (box,) = text_boxes(drawn((300, 300), (150, 140), 120, 20, angle), ratio=1.5)
    distance = 120 * 20 * 1.5 / (2 * (120 + 20))
    np.testing.assert_allclose(box.mean(0), (150, 140), atol=1)
    along, down = box[1] - box[0], box[3] - box[0]
    assert np.linalg.norm(along) == pytest.approx(120 + 2 * distance, abs=4)
    assert np.linalg.norm(down) == pytest.approx(20 + 2 * distance, abs=4)
    found = np.degrees(np.arctan2(along[1], along[0]))
    expected = angle if angle > -45 else angle + 180
    assert found == pytest.approx(expected, abs=2), "to the right, or down where it is steep"
    assert along[0] * down[1] - along[1] * down[0] > 0, "clockwise"


def test_what_is_faint_or_narrow_is_left_out() -> None:
    probability = 0.4 * drawn((100, 200), (100, 20), 80, 10, 0)
    assert len(text_boxes(probability)) == 0
    assert len(text_boxes(probability, mean=0.35)) == 1
    assert len(text_boxes(drawn((100, 200), (100.5, 50.5), 80, 1, 0))) == 0
    assert text_boxes(np.zeros((32, 32), np.float32)).shape == (0, 4, 2)
    assert text_boxes(np.ones((4, 4), np.float32)).shape == (1, 4, 2)


def test_regions_that_touch_are_two_boxes_only_if_a_pixel_is_between_them() -> None:
    probability = np.zeros((60, 60), np.float32)
    probability[10:20, 5:25] = probability[10:20, 26:50] = 1
    assert len(text_boxes(probability)) == 2
    probability[15, 25] = 1
    assert len(text_boxes(probability)) == 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=3, max_size=12, unique=True))
def test_the_rectangle_is_the_smallest_of_all_directions(points) -> None:
    points = np.array(points, np.float64)
    if np.linalg.matrix_rank(points - points[0]) < 2:
        return
    centre, along, length, height = rectangle(points)
    across = np.array([-along[1], along[0]])
    assert (abs((points - centre) @ along) <= length / 2 + 1e-6).all()
    assert (abs((points - centre) @ across) <= height / 2 + 1e-6).all()
    for angle in np.radians(np.arange(0, 90, 0.5)):
        axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        assert length * height <= np.ptp(points @ axes.T, axis=0).prod() + 1e-6


def box_at(x, y, length=40, height=10):
    return np.array([[x, y], [x + length, y], [x + length, y + height], [x, y + height]], np.float64)


def test_rows_are_read_from_their_start_one_after_the_other() -> None:
    places = [(100, 3), (0, 0), (50, 20), (0, 23), (10, 60)]
    boxes = np.array([box_at(*place) for place in places])
    assert reading_order(boxes) == [1, 0, 3, 2, 4]
    assert reading_order(boxes[:0]) == []


@pytest.mark.parametrize("angle", [20, 90, 180, 250])
def test_the_order_turns_with_the_text(angle) -> None:
    boxes = np.array([box_at(*place) for place in [(100, 3), (0, 0), (50, 20), (0, 23), (10, 60)]])
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    assert reading_order(boxes @ np.array([[cos, sin], [-sin, cos]])) == [1, 0, 3, 2, 4]
