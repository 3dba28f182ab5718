"""Texts of another engine: any spelling of a valid document passes, nothing else; a cut one is closed."""

import json
import random

import pytest

from showtell.tasks.checked_text import BrokenText, CheckedText
from showtell.tasks.grammar import SchemaError

pytest.importorskip("llguidance")
jsonschema = pytest.importorskip("jsonschema")

MATERIALS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "文字材料类别": {"enum": ["营业执照", "收据"]},
            "号码": {"type": "string", "pattern": "^[0-9]{4}[A-F]$"},
            "note": {"type": "string", "maxLength": 9},
            "total": {"type": "number", "exclusiveMinimum": 0},
        },
        "required": ["文字材料类别", "号码", "total"],
        "additionalProperties": False,
    },
    "minItems": 1,
}
DOCUMENT = [
    {"文字材料类别": "营业执照", "号码": "0123A", "note": 'a"\\/\n\U0001f600', "total": 1.5},
    {"文字材料类别": "收据", "号码": "9999F", "total": 20},
]
SPELLINGS = {
    "compact": json.dumps(DOCUMENT, ensure_ascii=False, separators=(",", ":")),
    "usual": json.dumps(DOCUMENT, ensure_ascii=False),
    "escaped": json.dumps(DOCUMENT).replace("/", "\\/"),
    "indented": "\n\t " + json.dumps(DOCUMENT, indent=7).replace("\n", "\r\n") + "  \n",
}


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("size", [1, 5, 1000])
def test_any_spelling_of_a_valid_document_passes_as_it_is(text, size) -> None:
    checked = CheckedText(MATERIALS)
    sent = "".join(checked.write(text[at : at + size]) for at in range(0, len(text), size))
    checked.end()
    assert checked.complete
    assert sent == text.rstrip()


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS)
def test_every_prefix_is_closed_and_valid(text) -> None:
    for end in range(0, len(text), 3):
        checked = CheckedText(MATERIALS)
        closed = checked.write(text[:end]) + checked.close()
        jsonschema.validate(json.loads(closed), MATERIALS)
        assert closed.startswith(text[:end].rstrip()[:-12])  # at most blanks and an escape are left out


INTEGER = {"type": "object", "properties": {"a": {"type": "integer"}}}
PAIR = {"type": "array", "items": {"type": "number"}}


@pytest.mark.parametrize(
    ("schema", "text", "said"),
    [
        (MATERIALS, "```json\n[", "character 1: '`'"),
        (MATERIALS, "Here is the document: [", "character 1"),
        (MATERIALS, '[{"total": 1', "character 4"),
        (MATERIALS, "[]", "character 2"),
        (INTEGER, '{"a": 1, "\\u0061": "x"}', "character 17"),
        (INTEGER, '{"\\u0061": "x"}', "character 12"),
        (INTEGER, '{"a": 1} {', "character 10"),
        (INTEGER, '{"b": "\\ud800x"}', "character"),
        (INTEGER, '{"b": "\ud800"}', "character 8"),
        (INTEGER, '{"b": "\\x41"}', "character"),
        (INTEGER, '{"b": "a\nb"}', "character 9"),
        (INTEGER, '{"b": 1e999}', "too large"),
        (INTEGER, f'{{"b": {"1" * 400}}}', "too large"),
        (INTEGER, '{"b": -}', "character 8"),
        (INTEGER, '{"b": NaN}', "character 7"),
        (INTEGER, '{"b": 01}', "character 8"),
        (PAIR, "[1 2]", "character 4"),
        (PAIR, "[1\n2]", "character 4"),
        (PAIR, "[1 e5]", "character 4"),
    ],
    ids=ascii,
)
def test_what_breaks_the_schema_is_told_with_its_place(schema, text, said) -> None:
    with pytest.raises(BrokenText, match=said):
        CheckedText(schema).write(text)


def test_a_text_that_ends_early_is_no_document() -> None:
    for text in ("", "[", "[1,", '["'):
        checked = CheckedText({"type": "array"})
        checked.write(text)
        assert not checked.complete
        with pytest.raises(BrokenText, match="before the document does"):
            checked.end()


def test_a_blank_that_was_sent_is_not_followed_by_the_rest_of_a_number() -> None:
    checked = CheckedText({"type": "integer", "minimum": 100})
    sent = checked.write("12 ")
    assert json.loads(sent + checked.close()) >= 100


def test_a_schema_that_cannot_be_kept_is_refused() -> None:
    for schema in ({"not": {}}, {"type": "string", "minLength": 5000}):
        with pytest.raises(SchemaError):
            CheckedText(schema)


def test_random_texts_are_valid_or_broken() -> None:
    """Characters of JSON at random: what passes to the end is valid."""
    schema, chance, passed = (
        {"type": ["array", "number"], "items": {"type": ["integer", "boolean"]}},
        random.Random(0),
        0,
    )
    for _ in range(400):
        text = "".join(
            chance.choices(
                ["[", "]", ",", " ", "1", "-", "0", ".", "e", "true", "\n"], k=chance.randint(1, 7)
            )
        )
        checked = CheckedText(schema)
        try:
            sent = checked.write(text)
            checked.end()
        except BrokenText:
            continue
        passed += 1
        jsonschema.validate(json.loads(text), schema)
        assert sent == text.rstrip()
    assert passed > 5
