"""JSON files of one object, written by people and by programs."""

import pytest

from showtell.data.json import read_object
from showtell.errors import UserError


def test_a_byte_order_mark_is_no_error(tmp_path) -> None:
    file = tmp_path / "schema.json"
    file.write_bytes('{"type": "object", "title": "Übung"}'.encode("utf-8-sig"))
    assert read_object(file) == {"type": "object", "title": "Übung"}


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path) -> None:
    with pytest.raises(UserError, match=r"^there is no file .*schema\.json$"):
        read_object(tmp_path / "schema.json")


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\xfe"])
def test_what_is_no_object_is_named_with_the_remedy(tmp_path, content) -> None:
    (tmp_path / "schema.json").write_bytes(content)
    with pytest.raises(UserError, match=r"schema\.json.*Correct it, or copy or download it again"):
        read_object(tmp_path / "schema.json")
