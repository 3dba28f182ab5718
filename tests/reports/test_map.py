"""Maps: what they refuse before the layout."""

from pathlib import Path

import pytest

from showtell.errors import UserError
from showtell.pipelines.model import load_model
from showtell.reports.map import map_words


def test_an_output_that_cannot_be_written_is_refused_before_the_layout(checkpoint: Path, monkeypatch) -> None:
    monkeypatch.setattr("showtell.reports.map.tsne", lambda *_: pytest.fail("laid out in vain"))
    output = checkpoint / "config.json" / "map.html"
    with pytest.raises(UserError, match=f"cannot write {output}"):
        map_words(output, load_model(checkpoint, "cpu"))
