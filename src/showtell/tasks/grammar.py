"""JSON schemas as grammars over the tokens of a language model.

The grammar is llguidance's, with options under which it accepts no invalid document, or refuses the schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, Protocol
from urllib.parse import quote

import numpy as np
from jaxtyping import Int

from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import MissingError, UsageError
from showtell.tasks.patterns import FORMATS, SchemaError, sound_pattern

MAX_BYTES, MAX_DEPTH = 1 << 16, 64
"""Of a schema."""
OPTIONS: Any = {
    "whitespace_flexible": True,
    # Bounded, or a model may write blanks for ever; without any, one trained on blanks loses its way.
    "whitespace_pattern": r"(\x20|\n\x20{0,24})",
    "lenient": False,  # which a schema could otherwise switch on itself
    "coerce_one_of": False,
    # Without \u: a key that is spelled so is another key to the grammar, and the same to a reader.
    "json_allowed_escapes": 'nrbtf"\\',
}
NAMED = {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
"""Keywords whose value maps names to schemas."""
DATA = {"const", "enum", "default", "examples"}
"""Keywords whose value is no schema."""
UNSEEN = {"contentEncoding", "contentMediaType"}
"""Keywords of which llguidance takes no notice, and a validator may."""
BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
EXPONENTS = b"^[eE]", b"[0-9][eE]"
OUTSIDE = b'}]0123456789"ntf-[{,:'
"""What ends a document soonest, outside a string."""
INSIDE = b"@.-:/ 0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""What a pattern most likely asks for, inside a string."""


class Tokenizer(Protocol):
    """What a `Vocabulary` is made of."""

    @property
    def end(self) -> int:
        """The id that ends a text."""

    def to_json(self) -> str:
        """The tokenizer as Hugging Face writes it."""


class Vocabulary:
    """What constrained decoding knows of a byte-level vocabulary."""

    def __init__(self, tokenizer: Tokenizer, size: int) -> None:
        """`size`: the ids that the model scores, which may be more than the tokenizer has.

        Raises `MissingError` without llguidance, `UsageError` for a vocabulary that cannot spell every byte.
        """
        make = _llguidance().LLTokenizer
        self.size, self.end = size, tokenizer.end
        try:
            self.tokens = make(tokenizer.to_json(), n_vocab=size, eos_token=tokenizer.end)
        except ValueError as error:
            raise UsageError(f"this model's vocabulary spells no JSON: {error}") from error
        spelled = {byte: self.tokens.tokenize_bytes(bytes([byte])) for byte in range(256)}
        single = {byte: ids[0] for byte, ids in spelled.items() if len(ids) == 1}
        if not all(byte in single and self.text(single[byte]) == bytes([byte]) for byte in range(32, 127)):
            raise UsageError("this model's vocabulary spells no JSON: it has no token for every byte")
        rest = [byte for byte in range(32, 256) if byte not in b'"\\']
        # Bytes that continue a character before those that begin one, which need more.
        rest.sort(key=lambda byte: (byte >= 128, byte >= 192))
        self.outside = _ids(single, [*OUTSIDE, *rest])
        """Tokens of one byte, in the order in which they are tried outside a string."""
        self.inside = _ids(single, [*INSIDE, *rest, ord("\\")])
        texts = [self.text(token) for token in range(size)]
        first, later = (np.array([bool(re.search(form, text)) for text in texts]) for form in EXPONENTS)
        self.exponents = later, first | later
        """`bool [V]`: tokens with an exponent of a number that begins in them, or before."""
        self.digits = np.array([text[:1] in b".0123456789" and text != b"" for text in texts])
        """`bool [V]`: tokens that continue a number."""
        self.quote, self.closing = single[ord('"')], {single[ord("}")], single[ord("]")]}

    def text(self, token: int) -> bytes:
        """The bytes of a token; none for a special one."""
        return self.tokens.decode_bytes([token])


def _llguidance() -> Any:
    try:
        import llguidance
    except ImportError as error:
        raise MissingError("JSON schemas need llguidance: pip install 'showtell[read]'") from error
    return llguidance


def _ids(single: Mapping[int, int], order: list[int]) -> Int[np.ndarray, " N"]:
    return np.array([single[byte] for byte in dict.fromkeys(order) if byte in single])


@lru_cache(maxsize=4)
def vocabulary_of(tokenizer: SubwordTokenizer, size: int) -> Vocabulary:
    """The `Vocabulary` of a tokenizer, kept: that of 150,000 tokens takes a second. Raises as it does."""
    return Vocabulary(tokenizer, size)


class _Bytes:
    """The tokenizer whose tokens are bytes, as llguidance names it."""

    end = 261

    def to_json(self) -> str:
        """Its name in place of its rules."""
        return "byte"


@cache
def byte_vocabulary() -> Vocabulary:
    """The vocabulary of a text that comes without its tokens."""
    return Vocabulary(_Bytes(), _Bytes.end + 1)


def accepts(schema: object, text: str) -> bool:
    """Whether a text is an answer that constrained decoding could give to a schema.

    Then it is a document that is valid against it; not the other way around: its keys come in the order of
    `properties`. Raises as `compile_schema`.
    """
    vocabulary = byte_vocabulary()
    matcher = _llguidance().LLMatcher(vocabulary.tokens, _checking(json.dumps(schema)), log_level=0)
    return matcher.consume_tokens(vocabulary.tokens.tokenize_bytes(text.encode())) and matcher.is_accepting()


@lru_cache(maxsize=16)
def _checking(schema: str) -> str:
    return compile_schema(json.loads(schema), byte_vocabulary())


def compile_schema(schema: object, vocabulary: Vocabulary) -> str:
    """The grammar of the documents that are valid against a schema (draft 2020-12), for `Answer`.

    Keys come in the order of `properties`. Nothing is fetched: a `$ref` stays inside the schema. Raises
    `SchemaError` for a schema that is not understood whole, naming what is not.
    """
    from llguidance import LLMatcher

    if schema is True:
        schema = {}
    if not isinstance(schema, Mapping):
        raise SchemaError("the schema is no JSON object")
    sound = _schema(schema, depth=0)
    _refuse_narrow(sound)
    cleaned = json.dumps(sound, ensure_ascii=False)
    if len(cleaned.encode()) > MAX_BYTES:
        raise SchemaError(f"the schema has more than {MAX_BYTES >> 10} KiB")
    try:
        grammar = LLMatcher.grammar_from_json_schema(cleaned, overrides=OPTIONS)
    except ValueError as error:
        raise SchemaError(f"the schema cannot be kept: {error}") from error
    failed, messages = LLMatcher.validate_grammar_with_warnings(grammar, vocabulary.tokens)
    if failed:
        raise SchemaError(f"the schema cannot be kept: {messages[0].splitlines()[0]}")
    return grammar


def _schema(node: Any, depth: int) -> Any:
    """A schema, or a list of them, as llguidance takes it soundly."""
    if depth > MAX_DEPTH:
        raise SchemaError(f"the schema is nested more than {MAX_DEPTH} deep")
    if isinstance(node, list):
        return [_schema(one, depth + 1) for one in node]
    if not isinstance(node, Mapping):
        return _plain(node, depth)
    if depth and "$id" in node:  # its references would be relative to it
        raise SchemaError("the schema has a `$id` below its root; leave it out")
    if unseen := UNSEEN & node.keys():
        raise SchemaError(f"the schema cannot be kept: `{min(unseen)}` is not understood")
    least, needed = node.get("minProperties"), node.get("required")
    if isinstance(least, int) and least > (len(needed) if isinstance(needed, list) else 0):
        # The grammar counts a key that comes twice as two.
        raise SchemaError("the schema's `minProperties` cannot be kept; name the keys in `required`")
    found: dict[str, Any] = {}
    also: list[Any] = []
    for keyword, value in node.items():
        if keyword == "format" and value in FORMATS:
            also += FORMATS[value]
        elif keyword == "pattern" and isinstance(value, str):
            found[keyword] = sound_pattern(_plain(value, depth))
        elif keyword == "patternProperties" and isinstance(value, Mapping):
            patterns = {sound_pattern(_plain(name, depth)): one for name, one in value.items()}
            found[keyword] = {name: _schema(one, depth + 2) for name, one in patterns.items()}
        elif keyword == "$ref" and isinstance(value, str):
            found[keyword] = quote(_plain(value, depth), safe="#/:?&=%~!$'()*+,;@")
        elif keyword in NAMED and isinstance(value, Mapping):
            found[keyword] = {_plain(name, depth): _schema(one, depth + 2) for name, one in value.items()}
        else:
            found[_plain(keyword, depth)] = (_plain if keyword in DATA else _schema)(value, depth + 1)
    if also:
        given = found.get("allOf", [])
        found["allOf"] = [*given, *also] if isinstance(given, list) else given
    return found


def _refuse_narrow(schema: Mapping[str, Any]) -> None:
    """Refuse a bound that another follows within 1: between 0, exclusive, and 0.5 llguidance 1.9.1 accepts 0.

    Bounds anywhere in the schema count, since `allOf` and `$ref` bring them together.
    """
    bounds, exclusive, waiting = set[float](), set[float](), list[Any]([schema])
    while waiting:
        node = waiting.pop()
        waiting += node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ()
        if not isinstance(node, Mapping):
            continue
        given = {name: node[name] for name in BOUNDS if type(node.get(name)) in (int, float)}
        bounds |= set(given.values())
        if node.get("type") != "integer":
            exclusive |= {value for name, value in given.items() if name.startswith("exclusive")}
    for bound in exclusive:
        if near := [other for other in bounds if 0 < abs(other - bound) < 1]:
            raise SchemaError(
                f"the schema excludes {bound:g}, which cannot be kept beside the bound {near[0]:g}"
            )


def _plain(value: Any, depth: int) -> Any:
    """A value that is text throughout, without control characters, which the grammar would drop."""
    if depth > MAX_DEPTH:
        raise SchemaError(f"the schema is nested more than {MAX_DEPTH} deep")
    if isinstance(value, str) and any(char < " " and char not in "\n\r\t\b\f" for char in value):
        raise SchemaError(f"the schema has a control character in {value[:40]!r}")
    if isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
        raise SchemaError("the schema holds half of a surrogate pair, which is no text")
    if isinstance(value, list):
        return [_plain(one, depth + 1) for one in value]
    if isinstance(value, Mapping):
        return {_plain(name, depth): _plain(one, depth + 1) for name, one in value.items()}
    return value
