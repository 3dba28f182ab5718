"""JSON-Schema-Test-Suite through our grammars: of a schema that is compiled, no invalid document is accepted.

The texts of drafts 2020-12 and 7 are in `json_schema_test_suite.json.xz`, with their licence (MIT) and
commit.
"""

import json
import lzma
from pathlib import Path

import pytest

from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.tasks.grammar import SchemaError, Vocabulary, compile_schema
from tasks.test_grammar import accepts

pytest.importorskip("llguidance")
SUITE = json.loads(lzma.decompress(Path(__file__).with_name("json_schema_test_suite.json.xz").read_bytes()))
LEAST_COMPILED, LEAST_ACCEPTED = 370, 950
"""So that it does not pass by refusing everything: 376 of 782 schemas, 969 of their valid documents."""


@pytest.fixture(scope="module")
def vocabulary():
    tokenizer = SubwordTokenizer.train(["The cat sat on the mat."] * 3, "bpe", 300, "chatml")
    return Vocabulary(tokenizer, len(tokenizer) + 5)


def test_no_invalid_document_is_accepted(vocabulary) -> None:
    compiled, accepted, wrong = 0, 0, []
    for name, groups in SUITE["groups"].items():
        for group in groups:
            try:
                grammar = compile_schema(group["schema"], vocabulary)
            except SchemaError:
                continue
            compiled += 1
            for what, document, valid in group["documents"]:
                if accepts(grammar, vocabulary, json.dumps(document, ensure_ascii=False)):
                    accepted += valid
                    wrong += [] if valid else [f"{name}: {group['what']}: {what}"]
    assert wrong == []
    assert compiled >= LEAST_COMPILED
    assert accepted >= LEAST_ACCEPTED
