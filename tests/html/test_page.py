"""Pages escape what they show and refuse to leave out what they were not given."""

import pytest
from jinja2 import UndefinedError

from showtell.html.page import environment, write_page
from support.html_page import HOSTILE, Page


def test_every_value_is_escaped():
    shown = Page(environment().from_string("<b title='{{ x }}'>{{ x }}</b>").render(x=HOSTILE))
    assert shown.elements == [("b", {"title": HOSTILE})]
    assert shown.text == HOSTILE


def test_a_missing_value_is_an_error_and_writes_nothing(tmp_path):
    with pytest.raises(UndefinedError, match="verdict"):
        write_page(tmp_path / "page.html", "curves", title="t", panels=[])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("logprob", "shown"), [(0.0, "100%"), (3.0, "100%"), (-0.6931, "50%"), (-99.0, "0%")]
)
def test_a_probability_is_a_percentage(logprob, shown):
    assert environment().filters["probability"](logprob) == shown


@pytest.mark.parametrize(
    "path", ["a dog.jpg", "folder/a dog.jpg", r"C:\folder\a dog.jpg", r"mixed/of\a dog.jpg"]
)
def test_a_file_is_called_by_its_name(path):
    assert environment().filters["filename"](path) == "a dog.jpg"
