"""Schemas as grammars: what is accepted is valid, and what cannot be promised is refused by name."""

import json

import pytest

from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import UsageError
from showtell.tasks.grammar import SchemaError, Vocabulary, compile_schema

llguidance = pytest.importorskip("llguidance")
jsonschema = pytest.importorskip("jsonschema")

A_IS_INTEGER = {"type": "object", "properties": {"a": {"type": "integer"}}}
CASES = [
    # a schema, texts that are valid against it, texts that are not
    (True, ["1", '"a"', "[ ]"], ["", "1 2", "{a: 1}", "\x0c1"]),
    ({"type": "integer", "minimum": 3, "maximum": 12}, ["3", "12"], ["2", "13", "3.5", '"3"', "03"]),
    ({"type": "number", "exclusiveMinimum": 0}, ["0.5", "1000"], ["0", "-1", "0.0"]),
    ({"type": "string", "minLength": 2, "maxLength": 3}, ['"ab"', '"执照号"'], ['"a"', '"abcd"', '"a\nb"']),
    ({"type": "string", "pattern": "^[0-9]{2}$"}, ['"42"'], ['"4"', '"423"', '"4a"', "42"]),
    ({"type": "string", "format": "date"}, ['"2024-02-29"'], ['"2026-13-01"', '"2026"', '"2100-02-29"']),
    ({"type": "string", "format": "time"}, ['"23:59:59.5Z"'], ['"22:59:60Z"', '"24:00:00Z"', '"1:00:00Z"']),
    ({"type": "string", "format": "hostname"}, ['"a-b.example"'], ['"xn--x.example"', '"-a"', '"a..b"']),
    ({"format": "date", "allOf": [{"pattern": "^2"}]}, ['"2026-11-27"', "1"], ['"1999-01-01"']),
    ({"type": "string", "pattern": "^[^\\s,]+$"}, ['"ab"'], ['"a b"', '"\ufeff"', '"a\u3000"', '"a,b"']),
    ({"type": "string", "pattern": "^\\S.$"}, ['"a "'], ['" a"', '"\ufeffa"', '"a\\r"']),
    ({"type": "string", "pattern": "^[a&[]+$"}, ['"a&["'], ['"b"', '"]"']),
    (
        {"patternProperties": {"^\\S$": {"type": "integer"}}, "additionalProperties": False},
        ['{"a": 1}'],
        ['{"\ufeff": 1}', '{"a": "b"}'],
    ),
    ({"enum": ["收据", 1, None]}, ['"收据"', "1", "null"], ['"收"', "2", '"1"']),
    ({"const": {"a": [1]}}, ['{"a": [1]}', '{"a":[1]}'], ['{"a":[2]}', '{"a":1}']),
    (
        {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2},
        ["[true]"],
        ["[]", "[1]"],
    ),
    (
        {"type": "array", "prefixItems": [{"type": "null"}], "items": False},
        ["[]", "[null]"],
        ["[1]", "[null,1]"],
    ),
    (
        A_IS_INTEGER,
        ['{"a": 1}', "{}", '{"b": "x"}'],
        ['{"a": "x"}', '{"a": 1, "\\u0061": "x"}', '{"\\u0061": "x"}', '{"a": 1, "a": "x"}'],
    ),
    (
        A_IS_INTEGER | {"required": ["a"], "additionalProperties": False},
        ['{"a": 1}', '{\n  "a" : 1 }'],
        ["{}", '{"a": 1, "b": 2}'],
    ),
    (
        {"$defs": {"人": {"type": "integer"}}, "type": "array", "items": {"$ref": "#/$defs/人"}},
        ["[1, 2]"],
        ['["1"]'],
    ),
    ({"type": "object", "minProperties": 1, "required": ["a"]}, ['{"a": 1}'], ["{}"]),
    ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, ["1", "null"], ['"null"', "[]"]),
    ({"allOf": [{"minimum": 2}, {"maximum": 3}], "type": "integer"}, ["2", "3"], ["1", "4"]),
    ({"type": "object", "properties": {"$id": {"type": "string"}}}, ['{"$id": "x"}'], ['{"$id": 1}']),
]
REFUSED = [
    (False, "no JSON object"),
    ([], "no JSON object"),
    ({"uniqueItems": True, "type": "array"}, "uniqueItems"),
    ({"not": {"type": "string"}}, "not"),
    ({"if": {"type": "string"}, "then": {"minLength": 2}}, "if"),
    ({"x-guidance": {"lenient": True}, "uniqueItems": True, "type": "array"}, "uniqueItems"),
    ({"$ref": "https://example.com/schema.json"}, "example.com"),
    ({"type": "string", "format": "nonsense"}, "nonsense"),
    ({"properties": {"a": {"$id": "http://x/", "type": "string"}}}, "`\\$id` below"),
    ({"const": "a\0b"}, "control character"),
    ({"properties": {"\x01": {}}}, "control character"),
    ({"const": "\ud800"}, "surrogate"),
    ({"$ref": "#/\ud800"}, "surrogate"),
    ({"description": "x" * 70_000}, "64 KiB"),
    ({"type": "strin"}, "strin"),
    ({"type": "string", "contentEncoding": "base64"}, "contentEncoding"),
    ({"type": "object", "minProperties": 2, "required": ["a"]}, "minProperties"),
    ({"pattern": "^a\\Z"}, "not the same"),
    ({"pattern": "^[a--b]$"}, "not the same"),
    ({"pattern": "^[^]a]$"}, "not the same"),
    ({"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}, "excludes 0"),
    ({"allOf": [{"type": "number", "exclusiveMaximum": 0}, {"minimum": -0.5}]}, "excludes 0"),
]


@pytest.fixture(scope="module")
def vocabulary():
    tokenizer = SubwordTokenizer.train(["The cat sat on the mat."] * 3, "bpe", 300, "chatml")
    return Vocabulary(tokenizer, len(tokenizer) + 5)


def accepts(grammar: str, vocabulary: Vocabulary, text: str) -> bool:
    matcher = llguidance.LLMatcher(vocabulary.tokens, grammar, log_level=0)
    taken = all(matcher.consume_token(token) for token in vocabulary.tokens.tokenize_str(text))
    return taken and matcher.is_accepting()


@pytest.mark.parametrize(("schema", "good", "bad"), CASES, ids=lambda value: json.dumps(value)[:40])
def test_valid_documents_are_accepted_and_no_others(vocabulary, schema, good, bad):
    grammar = compile_schema(schema, vocabulary)
    for text in good:
        jsonschema.validate(json.loads(text), schema)
        assert accepts(grammar, vocabulary, text), text
    for text in bad:
        assert not accepts(grammar, vocabulary, text), text


@pytest.mark.parametrize(("schema", "said"), REFUSED, ids=lambda value: ascii(value)[:40])
def test_what_cannot_be_promised_is_refused_by_name(vocabulary, schema, said):
    with pytest.raises(SchemaError, match=said):
        compile_schema(schema, vocabulary)


def test_depth_is_bounded(vocabulary):
    for key in ("items", "const"):
        deep = {}
        for _ in range(5000):
            deep = {key: deep}
        with pytest.raises(SchemaError, match="64 deep"):
            compile_schema(deep, vocabulary)


def test_a_vocabulary_without_bytes_is_refused():
    tokenizer = SubwordTokenizer.train(["The cat sat on the mat."] * 3, "wordpiece", 60)
    with pytest.raises(UsageError, match="spells no JSON"):
        Vocabulary(tokenizer, len(tokenizer))
