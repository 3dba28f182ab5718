"""A vocabulary cut down to what some texts hold: it reads them as before, and every other text somehow."""

import json

import pytest

from showtell.data.tokenizers.occurring import occurring
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import UsageError

TEXTS = ["A lowly dog runs lower.", "The lowest dog is newer than a dog."]
MORE = ["Newest foxes running slowly", "a widely known widow"]


@pytest.fixture(scope="module")
def whole():
    return SubwordTokenizer.train([*TEXTS, *MORE] * 3, "wordpiece", 120)


@pytest.fixture(scope="module")
def cut(whole):
    return occurring(whole, TEXTS)


def spelled(tokenizer, text):
    return [tokenizer.tokens[i] for i in tokenizer.encode(text)]


def test_the_texts_are_read_as_before(whole, cut):
    assert len(cut) < len(whole)
    for text in TEXTS:
        assert spelled(cut, text) == spelled(whole, text)
        assert cut.decode(cut.encode(text)) == whole.decode(whole.encode(text))


def test_other_texts_fall_into_shorter_pieces_and_are_read_whole(whole, cut):
    for text in MORE:
        assert cut.decode(cut.encode(text)) == whole.decode(whole.encode(text))
        assert len(cut.encode(text)) > len(whole.encode(text))
        assert cut.unknown not in cut.encode(text)


def test_ids_are_dense_in_the_old_order_and_special_tokens_follow(whole, cut):
    assert all(cut.tokens)
    places = [whole.tokens.index(token) for token in cut.tokens]
    assert places == sorted(places)
    for name in ("start", "end", "pad", "mask", "unknown"):
        assert cut.tokens[getattr(cut, name)] == whole.tokens[getattr(whole, name)], name
    again = SubwordTokenizer.train(TEXTS, "wordpiece", 60)
    assert {token for token in again.tokens if token.startswith("[")} <= {*cut.tokens}


def test_the_older_layout_of_the_file_is_renumbered_too(whole):
    """BERT's own files put [CLS] and [SEP] around a text by a processor of their own."""
    from tokenizers import Tokenizer

    content = json.loads(whole.to_json())
    content["post_processor"] = {
        "type": "BertProcessing",
        "sep": ["[SEP]", whole.end],
        "cls": ["[CLS]", whole.start],
    }
    old = SubwordTokenizer(Tokenizer.from_str(json.dumps(content)))
    for text in TEXTS:
        assert spelled(occurring(old, TEXTS), text) == spelled(whole, text)


def test_another_kind_of_vocabulary_is_refused():
    with pytest.raises(UsageError, match="only a WordPiece vocabulary can be cut down, not BPE"):
        occurring(SubwordTokenizer.train(TEXTS, "bpe", 300), TEXTS)
