"""Images without labels: those of test and validation folders are not trained on."""

import pytest

from showtell.datasets.images import find_unlabelled
from support.library import draw


@pytest.mark.parametrize(
    ("names", "left"),
    [(("train", "test"), "train"), (("seg_train", "seg_test"), "seg_train"), (("all", "val"), "all")],
)
def test_held_out_images_are_not_trained_on(tmp_path, names, left, caplog) -> None:
    caplog.set_level("INFO")
    for name in names:
        for number in range(3):
            draw(tmp_path / "data" / name / "cat" / f"{number}.png", (40 * number, 0, 0))
    found = find_unlabelled(tmp_path)
    assert {path.parent.parent.name for path in found.paths} == {left}
    assert found.num_training == 3
    assert "3 images not trained on, as their folders say: 3 in" in caplog.text


def test_a_test_folder_alone_is_all_there_is(tmp_path, caplog) -> None:
    caplog.set_level("INFO")
    draw(tmp_path / "test" / "a.png", (0, 0, 0))
    draw(tmp_path / "test" / "b.png", (90, 0, 0))
    assert find_unlabelled(tmp_path).num_training == 2
    assert not caplog.records
