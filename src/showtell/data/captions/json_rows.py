"""Rows of images and captions in a JSON value, however they are written."""

from __future__ import annotations

from itertools import islice
from typing import Any

from showtell.data.images.files import is_image_name
from showtell.data.splits import split_name

Row = dict[str, Any]


def json_rows(value: Any) -> list[Row]:
    """The rows of a JSON value; an item that is none becomes an empty row. No rows for any other value.

    A list of objects; a list of `[image, captions]`; an object of captions, or of objects, by the image's
    name; or one of these under a key of an object, or under one key per split.

    >>> json_rows([{"image": "a.jpg", "caption": "A cat"}])
    [{'image': 'a.jpg', 'caption': 'A cat'}]
    >>> json_rows({"a.jpg": ["A cat", "A black cat"]})
    [{'file_name': 'a.jpg', 'captions': ['A cat', 'A black cat']}]
    """
    if isinstance(value, list):
        rows = [_row(item) for item in value]
        return rows if any(rows) else []
    if not isinstance(value, dict):
        return []
    if any(is_image_name(str(name).replace("\\", "/").rpartition("/")[2]) for name in islice(value, 100)):
        return [_keyed(name, item) for name, item in value.items()]
    inner = {
        name: rows
        for name, item in value.items()
        if isinstance(item, list | dict) and (rows := json_rows(item))
    }
    if inner and all(split_name(name) for name in inner):
        return [{"split": name, **row} for name, rows in inner.items() for row in rows]
    if len(inner) == 1:
        return next(iter(inner.values()))
    if value and all(isinstance(item, dict) for item in islice(value.values(), 100)):
        return [_keyed(name, item) for name, item in value.items()]
    return []


def _row(item: Any) -> Row:
    if isinstance(item, dict):
        return item
    if isinstance(item, list) and len(item) > 1 and isinstance(item[0], str) and is_image_name(item[0]):
        captions = item[1] if len(item) == 2 and isinstance(item[1], list) else item[1:]
        return {"file_name": item[0], "captions": captions}
    return {}


def _keyed(name: str, item: Any) -> Row:
    return {"file_name": name, **item} if isinstance(item, dict) else {"file_name": name, "captions": item}
