"""Random tokens under a grammar: every document is valid and ends within its budget."""

import json

import pytest
import torch

from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.tasks.constrained import Answer
from showtell.tasks.grammar import SchemaError, Vocabulary, compile_schema

pytest.importorskip("llguidance")
jsonschema = pytest.importorskip("jsonschema")

MATERIAL = {
    "type": "object",
    "properties": {
        "文字材料类别": {"enum": ["营业执照", "收据"]},
        "号码": {"type": "string", "pattern": "^[0-9]{4}[A-F]$"},
        "total": {"type": "number", "exclusiveMinimum": 0},
    },
    "required": ["文字材料类别", "号码", "total"],
    "additionalProperties": False,
}
TREE = {
    "$defs": {
        "node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "v": {"type": "string"}}}
    },
    "$ref": "#/$defs/node",
}
SCHEMAS = [
    {},
    {"type": "object"},
    {"type": "string"},
    {"type": "string", "pattern": "^a*b$"},
    {"type": "string", "minLength": 6},
    {"type": "integer", "minimum": 17, "maximum": 4021},
    {"type": "number", "exclusiveMinimum": 0, "maximum": 5},
    {"type": "array", "minItems": 2, "items": {"type": ["string", "null"]}},
    {"type": "array", "items": MATERIAL, "minItems": 1},
    {"type": "string", "format": "date"},
    TREE,
]
MOST = 10_000


@pytest.fixture(scope="module")
def vocabulary():
    tokenizer = SubwordTokenizer.train(["The cat sat on the mat."] * 3, "bpe", 300, "chatml")
    return Vocabulary(tokenizer, len(tokenizer) + 5)


def least(grammar, vocabulary) -> int:
    """The smallest budget that is not refused."""
    return next(n for n in range(1, MOST) if _begun(grammar, vocabulary, n))


def _begun(grammar, vocabulary, budget) -> Answer | None:
    try:
        return Answer(grammar, vocabulary, budget)
    except SchemaError:
        return None


def write(answer, vocabulary, seed) -> list[int]:
    generator, written = torch.Generator().manual_seed(seed), []
    while True:
        logits = answer.mask(torch.randn(vocabulary.size, generator=generator) * 2)
        token = answer.take(int(logits.softmax(-1).multinomial(1, generator=generator)))
        if token == vocabulary.end:
            return written
        written.append(token)


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: json.dumps(schema)[:40])
def test_every_answer_is_valid_and_within_its_budget(vocabulary, schema):
    grammar = compile_schema(schema, vocabulary)
    smallest = least(grammar, vocabulary)
    for seed in range(12):
        budget = smallest + seed * 3
        answer = Answer(grammar, vocabulary, budget)
        written = write(answer, vocabulary, seed)
        assert len(written) < budget
        text = vocabulary.tokens.decode_bytes(written).decode()
        jsonschema.validate(json.loads(text), schema, format_checker=jsonschema.FormatChecker(["date"]))


def test_a_budget_that_cannot_suffice_is_refused_with_what_it_takes(vocabulary):
    grammar = compile_schema(MATERIAL, vocabulary)
    smallest = least(grammar, vocabulary)
    shortest = Answer(grammar, vocabulary, smallest)
    assert len(write(shortest, vocabulary, 0)) == smallest - 1
    assert shortest.cut
    with pytest.raises(SchemaError, match=f"needs {smallest - 1} tokens at least, and {smallest - 2} may"):
        Answer(grammar, vocabulary, smallest - 1)
    long = compile_schema({"type": "array", "minItems": 1000, "items": {"type": "string"}}, vocabulary)
    with pytest.raises(SchemaError, match="no document of 1024 tokens"):
        Answer(long, vocabulary, 4000)


def test_a_document_that_ends_in_time_is_the_models_own(vocabulary):
    answer = Answer(compile_schema({"const": "cat"}, vocabulary), vocabulary, 20)
    text = vocabulary.tokens.decode_bytes(write(answer, vocabulary, 0))
    assert (json.loads(text), answer.cut) == ("cat", False)


@pytest.mark.parametrize(("schema", "longest"), [({"type": "number"}, 300), ({"type": "integer"}, 300)])
def test_numbers_stay_finite_whatever_the_model_prefers(vocabulary, schema, longest):
    """`1e999` and a thousand digits are valid JSON, and infinity, or an error, to who reads them."""
    answer, written = Answer(compile_schema(schema, vocabulary), vocabulary, 900), []
    preferred = torch.zeros(vocabulary.size)
    for byte, weight in ((b"9", 2.0), (b"e", 3.0), (b"E", 3.0)):
        preferred[vocabulary.tokens.tokenize_bytes(byte)[0]] = weight
    while not written or written[-1] != vocabulary.end:
        written.append(answer.take(int(answer.mask(preferred).argmax())))
    text = vocabulary.tokens.decode_bytes(written[:-1]).decode()
    assert text.strip() == "9" * longest
    assert not answer.cut
    assert json.loads(text) < float("inf")
