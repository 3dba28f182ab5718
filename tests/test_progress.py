"""Progress goes to the display that is current, and to the log where there is none."""

import pytest

from showtell import progress
from showtell.progress import logged, report, shown_by


def test_a_display_sees_the_reports_inside_its_block_alone() -> None:
    outer: list[tuple] = []
    inner: list[tuple] = []
    with shown_by(lambda *seen: outer.append(seen)):
        report("reading", 1, 3)
        with shown_by(lambda *seen: inner.append(seen)):
            report("training", 2, 4, "loss 1.5")
        report("reading", 3, 3)
    assert outer == [("reading", 1, 3, ""), ("reading", 3, 3, "")]
    assert inner == [("training", 2, 4, "loss 1.5")]


def test_a_line_is_logged_every_ten_seconds_with_the_time_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = iter([0.0, 6.0, 12.0, 18.0, 24.0, 30.0, 48.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    show = logged()
    with caplog.at_level("INFO", "showtell"):
        for done in range(10, 17):
            show("training", done, 20, "loss 1.5" if done % 2 else "")
    assert [record.getMessage() for record in caplog.records] == [
        "training: 12 of 20  0.8 min left",
        "training: 14 of 20  0.6 min left",
        "training: 16 of 20  0.5 min left",
    ]
