"""What the library logs and reports goes to standard error; results alone go to standard output."""

import logging
import sys

import pytest

from showtell.cli.main import run
from showtell.cli.messages import messages_shown
from showtell.progress import logged, report, shown_by

logger = logging.getLogger("showtell.anything")


def test_messages_are_plain_lines_on_standard_error(capsys) -> None:
    with messages_shown():
        logger.info("12 documents in %s", "a.txt")
        logger.warning("3 images skipped")
        logger.debug("not for people")
    logger.info("said to nobody")
    assert capsys.readouterr() == ("", "12 documents in a.txt\n3 images skipped\n")
    assert not logging.getLogger("showtell").handlers


def test_a_verb_leaves_the_logger_as_it_was(capsys) -> None:
    before = logging.getLogger("showtell").level
    assert run(["models"]) == 0
    assert (logging.getLogger("showtell").level, logging.getLogger("showtell").handlers) == (before, [])


def test_progress_is_a_bar_on_a_terminal(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with messages_shown():
        for done in range(1, 4):
            report("reading", done, 3, f"loss {done}")
            print(f"result {done}")
            logger.warning("warning %d", done)
    out, err = capsys.readouterr()
    assert out == "result 1\nresult 2\nresult 3\n"
    assert all(f"warning {done}" in err for done in range(1, 4))


def test_progress_elsewhere_is_a_line_now_and_then(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("showtell.progress.time.monotonic", lambda: now[0])
    with messages_shown(), shown_by(logged()):
        for done in range(1, 31):
            now[0] += 1
            report("reading", done, 30)
        report("a short work", 1, 1)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["reading: 11 of 30", "reading: 21 of 30"]
