"""Documents as JSON: the text of a page as a language model reads it, and what is kept of its answer."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from showtell.data.tokenizers.chat import Message
from showtell.errors import UserError
from showtell.tasks.grammar import accepts
from showtell.tasks.text_boxes import Boxes, text_rows, upright

COLUMNS = 80
"""Characters across a page."""
ASKED = (
    "You read documents. List what the text of this image says as JSON, as this schema asks, and leave out "
    "what is not there.\n\nSchema: {schema}"
)
SPECIAL = re.compile(r"<(?=\|)")
"""The beginning of a special token, which no text of an image may end a message with."""
NUMBER = re.compile(r"-?\d+(\.\d+)?")
CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")


class DocumentError(UserError):
    """An answer that is no document of its schema."""


def page_text(texts: Sequence[str], boxes: Boxes) -> str:
    """Lines of a page as one text: a row of the page per line, blanks for what is between its lines.

    >>> import numpy as np
    >>> def box(x, y, length):
    ...     return [[x, y], [x + length, y], [x + length, y + 18], [x, y + 18]]
    >>> boxes = np.array([box(0, 0, 50), box(760, 2, 40), box(20, 40, 40)], np.float64)
    >>> text = page_text(["TOTAL", "9.00", "CASH"], boxes)
    >>> text.index("9.00") - text.index("TOTAL"), text.split("\\n")[1]
    (76, '  CASH')
    """
    placed = upright(boxes)
    if not len(placed):
        return ""
    left, right = placed[..., 0].min(), placed[..., 0].max()
    unit = max(right - left, 1.0) / COLUMNS
    rows = []
    for row in text_rows(boxes):
        found = ""
        for i in row:
            column = round((placed[i, :, 0].min() - left) / unit)
            found += " " * max(column - len(found), 2 if found else 0) + texts[i]
        rows.append(found)
    return "\n".join(rows)


def asked(text: str, schema: object) -> list[Message]:
    """The message that asks a language model for the document in a text."""
    return [{"role": "user", "content": f"{instruction(schema)}\n\nText:\n{SPECIAL.sub('< ', text)}"}]


def asked_of_image(schema: object) -> list[Message]:
    """The message that asks a model which sees the image for the document in it."""
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": instruction(schema)}]}]


def instruction(schema: object) -> str:
    """What is asked of a text, or of an image."""
    return ASKED.format(schema=json.dumps(schema, ensure_ascii=False, separators=(",", ":")))


def parsed(text: str) -> Any:
    """The value of a JSON text.

    Raises `DocumentError` for what is no JSON, and for a number that no `float` holds, such as 1e999: Python
    would read it as infinity, and write it as what is no JSON.

    >>> parsed('{"a": 1.5}')
    {'a': 1.5}
    """
    try:
        return json.loads(text, parse_float=_finite, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"the answer is no JSON that can be read: {error}") from error


def _finite(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _refuse(digits)


def _refuse(digits: str) -> NoReturn:
    raise ValueError(f"the number {digits[:20]} is too large")


def whole_items(text: str) -> list[Any]:
    """The items of a JSON array that are whole in a text which was cut somewhere.

    >>> whole_items('[{"a": 1}, {"b": [2]}, {"c": ')
    [{'a': 1}, {'b': [2]}]
    >>> whole_items('[1, 23'), whole_items('{"a": [1]'), whole_items("")
    ([1], [], [])
    """
    decoder = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse)
    found, place = list[Any](), text.find("[") + 1
    if not place or text[: place - 1].strip():
        return []
    while True:
        place += len(text[place:]) - len(text[place:].lstrip())
        try:
            item, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            return found
        rest = text[place:].lstrip()
        if not rest and isinstance(item, (int, float)):  # more digits may have followed
            return found
        found.append(item)
        if not rest.startswith(","):
            return found
        place = len(text) - len(rest) + 1


def fitted(materials: Sequence[Mapping[str, str]], schema: object) -> Any:
    """Materials in the shape that a schema asks for, as far as they have what it names.

    A schema of a list takes all, one of an object the first; properties keep their order, and numbers are
    read from their texts.

    >>> numbers = {"type": "object", "properties": {"total": {"type": "number"}, "shop": {"type": "string"}}}
    >>> fitted([{"shop": "A", "date": "x", "total": "RM 1,200.50"}], {"type": "array", "items": numbers})
    [{'total': 1200.5, 'shop': 'A'}]
    >>> fitted([{"shop": "A", "total": "none"}], numbers)
    {'shop': 'A'}
    """
    if not isinstance(schema, Mapping):
        return list(materials)
    if schema.get("type") == "object":
        return _shaped(next(iter(materials), {}), schema)
    return [_shaped(one, schema.get("items")) for one in materials]


def _shaped(material: Mapping[str, str], schema: object) -> dict[str, Any]:
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(properties, Mapping):
        return dict(material)
    found: dict[str, Any] = {}
    for name, wanted in properties.items():
        kinds = wanted.get("type") if isinstance(wanted, Mapping) else None
        if name in material and kinds in ("number", "integer"):
            if digits := NUMBER.search(material[name].replace(",", "")):
                found[name] = float(digits[0]) if kinds == "number" else int(digits[0].partition(".")[0])
        elif name in material:
            found[name] = material[name]
    return found


def written(document: Any, schema: object) -> str:
    """A document as JSON that is known to be valid against a schema: the grammar of its answers accepts it.

    Keys come in the order of the schema's `properties`, at any depth; line breaks in texts become blanks.

    Raises `DocumentError` where it is not, `SchemaError` for a schema that is not understood whole.
    """
    shown = json.dumps(_plain(document), ensure_ascii=False)
    if not accepts(schema, shown):
        raise DocumentError(f"what was found does not keep the schema: {shown[:200]}")
    return shown


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return CONTROL.sub(" ", value)
    if isinstance(value, Mapping):
        return {_plain(name): _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value
