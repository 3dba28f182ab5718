"""Subword tokenizers: any text becomes ids, equal to those of `transformers`."""

import json
import math
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from showtell.data.tokenizers.families import FAMILIES
from showtell.data.tokenizers.folder import tokenizer_of
from showtell.data.tokenizers.load import load_tokenizer
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.data.tokenizers.wordpiece import join, learn_pieces, merges
from showtell.data.tokenizers.words import WordTokenizer
from showtell.errors import UserError

TEXTS = [
    "The lowest of the low, the newest of the new: wider and wider!",
    "A café in Zürich; naïve 中文 text, 😀 smiles 😀. Don't we'll they're 1234 12?",
    "the dog's  newest   bone \t was low\nand the widest, slowest, newest newer lower.",
] * 3
KINDS = [
    ("words", "bert"),
    ("chars", "bert"),
    ("chars", "gpt2"),
    ("wordpiece", "bert"),
    ("bpe", "roberta"),
    ("bpe", "gpt2"),
    ("bpe", "clip"),
    ("bpe", "opt"),
]
WORDS_AND_ODDITIES = [
    *["the", "low", "est", "newer", "中文", "é", "\u0301", "😀", "'s", "'re", "12", "\u200d", "\xa0"],
    *["\n", "\0", "[MASK]", "<mask>", "</w>", "A", "İ", "ß", "ﬁ"],
]
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=())) | st.lists(
    st.sampled_from(WORDS_AND_ODDITIES)
).map(" ".join)
HOSTILE = [
    "",
    " ",
    "\0",
    "\ud83d\ude00",
    "caf\udce9 low",
    "[MASK] <|endoftext|> </s> <pad>",
    "e\u0301",
    "\r\n",
]


@pytest.fixture(scope="module")
def trained() -> dict[tuple[str, str], SubwordTokenizer]:
    return {(k, f): SubwordTokenizer.train(TEXTS, k, 620 if f == "clip" else 330, f) for k, f in KINDS}


def hostile(test):
    for text in HOSTILE:
        test = example(text)(test)
    return settings(max_examples=150, deadline=None)(given(ANY_TEXT)(test))


@hostile
def test_any_text_becomes_ids_of_the_vocabulary_and_none_special(trained, text: str) -> None:
    for (kind, family), tokenizer in trained.items():
        ids, pieces = tokenizer.encode(text), tokenizer.pieces(text)
        inner = {"gpt2": ids, "opt": ids[1:]}.get(family, ids[1:-1])
        assert inner == pieces.ids
        if family == "opt":
            assert ids[0] == tokenizer.start
        elif family != "gpt2":
            assert (ids[0], ids[-1]) == (tokenizer.start, tokenizer.end)
        assert not {*inner} & {*tokenizer.special} - {tokenizer.unknown}, (kind, family)
        assert len(pieces.ids) == len(pieces.groups) == len(pieces.offsets)
        assert all(b - a in (0, 1) for a, b in pairwise(pieces.groups))
        assert pieces.groups[:1] in ([], [0])
        assert all(0 <= a <= b <= len(text) for a, b in pieces.offsets)
        tokenizer.decode(ids).encode()


@hostile
def test_bytes_and_characters_come_back_as_they_were(trained, text: str) -> None:
    clean = text.encode("utf-8", "replace").decode()
    for family in ("roberta", "gpt2"):
        tokenizer = trained["bpe", family]
        assert tokenizer.unknown is None
        assert tokenizer.decode(tokenizer.encode(text)) == clean


def test_words_come_back_as_the_normaliser_left_them(trained) -> None:
    assert trained["wordpiece", "bert"].decode(trained["wordpiece", "bert"].encode("The LOWEST café")) == (
        "the lowest cafe"
    )
    assert (
        trained["bpe", "clip"].decode(trained["bpe", "clip"].encode(" The  LOWEST café")) == "the lowest café"
    )
    assert (
        trained["chars", "bert"].decode(trained["chars", "bert"].encode("The  new café")) == "The  new café"
    )


@pytest.mark.parametrize("key", KINDS)
def test_saved_and_loaded_it_is_the_same(trained, key) -> None:
    tokenizer = trained[key]
    again = load_tokenizer(tokenizer.to_json())
    assert isinstance(again, SubwordTokenizer)
    assert again.tokens == tokenizer.tokens
    for role in ("family", "start", "end", "pad", "unknown", "mask", "special"):
        assert getattr(again, role) == getattr(tokenizer, role)
    for text in [*TEXTS, *HOSTILE]:
        assert again.encode(text) == tokenizer.encode(text)
        assert again.pieces(text) == tokenizer.pieces(text)


@pytest.mark.parametrize("key", KINDS)
def test_special_tokens_are_the_familys(trained, key) -> None:
    tokenizer, family = trained[key], FAMILIES[key[1]]
    assert tokenizer.family == key[1]
    assert [tokenizer.tokens[i] for i in tokenizer.special] == family.tokens
    assert tokenizer.tokens[tokenizer.start] == family.start
    assert tokenizer.tokens[tokenizer.end] == family.end
    assert tokenizer.mask == (None if family.mask is None else tokenizer.tokens.index(family.mask))
    assert len(tokenizer) == len(set(tokenizer.tokens))


def test_a_long_text_is_cut_within_its_special_tokens(trained) -> None:
    tokenizer = trained["wordpiece", "bert"]
    whole = tokenizer.encode("the lowest of the low")
    cut = tokenizer.encode("the lowest of the low", 4)
    assert cut == [tokenizer.start, *whole[1:3], tokenizer.end]
    assert tokenizer.encode("the", 2) == [tokenizer.start, tokenizer.end]
    assert tokenizer.encode_batch(["the lowest of the low", ""], 4) == [cut, [tokenizer.start, tokenizer.end]]
    with pytest.raises(ValueError, match="no room"):
        tokenizer.encode("the", 1)


def test_a_huge_word_is_encoded(trained) -> None:
    for tokenizer in trained.values():
        assert tokenizer.encode("low" * 50_000, 16)
    assert trained["wordpiece", "bert"].pieces("low" * 50_000).ids == [trained["wordpiece", "bert"].unknown]


def test_special_tokens_spelled_out_are_text_unless_requested(trained) -> None:
    for key, text in ((("wordpiece", "bert"), "the [MASK] bone"), (("bpe", "roberta"), "the <mask> bone")):
        tokenizer = trained[key]
        assert tokenizer.mask not in tokenizer.encode(text)
        ids = tokenizer.encode(text, special=True)
        assert ids.count(tokenizer.mask) == 1
        left, right = ids.index(tokenizer.mask), len(ids) - ids.index(tokenizer.mask)
        assert ids[:left] == tokenizer.encode("the")[:-1]
        assert ids[-right + 1 :] == tokenizer.encode(" bone")[1:]


def test_pieces_of_one_word_share_a_group(trained) -> None:
    text = "widerslowest, low"
    pieces = trained["wordpiece", "bert"].pieces(text)
    words = [
        {text[a:b] for (a, b), g in zip(pieces.offsets, pieces.groups, strict=True) if g == n} for n in (0, 1)
    ]
    assert "".join(text[a:b] for a, b in pieces.offsets) == "widerslowest,low"
    assert pieces.groups[-1] == 2
    assert words[1] == {","}
    assert len(pieces.groups) > 3  # some word is in pieces


# --- transformers


def save_files(tokenizer: SubwordTokenizer, folder: Path) -> None:
    """The files that `transformers` used before `tokenizer.json`."""
    folder.mkdir()
    model = json.loads(tokenizer.to_json())["model"]
    if tokenizer.family == "bert":
        (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tokenizer.tokens))
    else:
        (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
        lines = ["#version: 0.2", *(" ".join(merge) for merge in model["merges"])]
        (folder / "merges.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def references(trained, tmp_path_factory):
    import transformers

    found = {}
    for family in ("bert", "roberta", "gpt2", "clip", "opt"):
        ours = trained["wordpiece" if family == "bert" else "bpe", family]
        folder = tmp_path_factory.mktemp(family) / "files"
        save_files(ours, folder)
        model = json.loads(ours.to_json())["model"]
        made = {
            "bert": transformers.BertTokenizerFast,
            "roberta": transformers.RobertaTokenizerFast,
            "gpt2": transformers.GPT2TokenizerFast,
            "clip": transformers.CLIPTokenizerFast,
            "opt": transformers.GPT2TokenizerFast,
        }[family]
        arguments = {} if family == "bert" else {"merges": [tuple(merge) for merge in model["merges"]]}
        if family == "opt":  # as its tokenizer_config.json says
            arguments |= dict.fromkeys(("bos_token", "eos_token", "unk_token"), "</s>")
            arguments |= {"pad_token": "<pad>", "add_bos_token": True}
        reference = made(vocab=model["vocab"], **arguments)
        reference.save_pretrained(folder.parent / "saved")
        found[family] = reference, tokenizer_of(folder), tokenizer_of(folder.parent / "saved")
    return found


@settings(max_examples=150, deadline=None)
@given(ANY_TEXT)
@example("\0 \u200d e\u0301 İ ß 中文x 😀don't")
@example("low" * 50)
def test_ids_and_offsets_are_those_of_the_reference_library(references, text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    for family, (reference, *ours) in references.items():
        plain = {"add_special_tokens": False, "split_special_tokens": True}
        expected = reference(text, return_offsets_mapping=True, **plain)
        decoded = reference.decode(expected["input_ids"], skip_special_tokens=True)
        for tokenizer in ours:
            assert tokenizer.encode(text) == reference(text, split_special_tokens=True)["input_ids"], family
            assert tokenizer.pieces(text).offsets == expected["offset_mapping"], family
            assert tokenizer.decode(expected["input_ids"]) == decoded, family
        assert ours[1].encode(text, special=True) == reference(text)["input_ids"], family


@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2", "clip", "opt"])
def test_a_folder_of_either_age_gives_the_same_vocabulary(references, trained, family) -> None:
    _, old, new = references[family]
    made = trained["wordpiece" if family == "bert" else "bpe", family]
    assert old.tokens == new.tokens == made.tokens
    assert old.special == new.special == made.special
    assert old.family == new.family == family


def test_padding_and_truncation_of_the_file_are_dropped(trained) -> None:
    stored = json.loads(trained["wordpiece", "bert"].to_json())
    stored["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    stored["padding"] = {
        "strategy": {"Fixed": 128},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    assert load_tokenizer(json.dumps(stored)).encode(TEXTS[0]) == trained["wordpiece", "bert"].encode(
        TEXTS[0]
    )


def test_settings_of_a_folder_are_respected(trained, tmp_path) -> None:
    save_files(trained["wordpiece", "bert"], tmp_path / "cased")
    (tmp_path / "cased" / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    cased = tokenizer_of(tmp_path / "cased")
    assert cased.encode("The")[1] == cased.unknown != trained["wordpiece", "bert"].encode("The")[1]


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({}, "holds no tokenizer"),
        ({"vocab.json": "{}"}, "holds no tokenizer"),
        ({"tokenizer.json": ""}, "tokenizer.json"),
        ({"tokenizer.json": "{"}, "tokenizer.json"),
        ({"vocab.txt": b"\xff\xfe\x00"}, "vocab.txt"),
        ({"vocab.json": "[1]", "merges.txt": ""}, "vocab.json"),
        ({"vocab.json": '{"a": "b"}', "merges.txt": ""}, "merges.txt"),
        ({"vocab.json": '{"a": 0}', "merges.txt": "a b c\n"}, "merges.txt"),
        ({"vocab.json": '{"a": 0}', "merges.txt": "a b\n"}, "merges.txt"),
        ({"vocab.txt": "[UNK]\n", "tokenizer_config.json": "{"}, "tokenizer_config.json"),
    ],
)
def test_a_broken_folder_names_the_file(tmp_path, files, names) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=names):
        tokenizer_of(tmp_path)


@pytest.mark.parametrize("damage", ["", "{}", "[]", "null", "\0", '{"model": {"type": "BPE"}}', "{" * 5000])
def test_damaged_json_is_named(damage) -> None:
    with pytest.raises(UserError, match=r"mine\.json is damaged"):
        load_tokenizer(damage, "mine.json")


def test_a_tokenizer_cut_anywhere_is_damaged(trained) -> None:
    stored = trained["wordpiece", "bert"].to_json()
    for end in range(0, len(stored), 97):
        with pytest.raises(UserError):
            load_tokenizer(stored[:end])


def test_special_tokens_of_no_known_family_are_named(trained) -> None:
    stored = json.loads(trained["wordpiece", "bert"].to_json())
    stored["added_tokens"] = [t for t in stored["added_tokens"] if t["content"] != "[MASK]"]
    with pytest.raises(UserError, match=r"\[PAD\], \[UNK\], \[CLS\], \[SEP\]"):
        load_tokenizer(json.dumps(stored))


@pytest.mark.parametrize("unknown", [None, "[NONE]"])
def test_a_vocabulary_without_the_unknown_token_is_damaged(trained, unknown) -> None:
    stored = json.loads(trained["wordpiece", "bert"].to_json())
    if unknown:
        stored["model"]["unk_token"] = unknown
    else:
        del stored["model"]["vocab"]["[UNK]"]
    with pytest.raises(UserError, match="damaged"):
        load_tokenizer(json.dumps(stored))


def test_word_and_subword_tokenizers_are_told_apart(trained) -> None:
    words = WordTokenizer.train(["a dog runs"])
    assert isinstance(load_tokenizer(words.to_json()), WordTokenizer)
    assert isinstance(load_tokenizer(trained["words", "bert"].to_json()), SubwordTokenizer)


# --- training

WORDS = {
    "low": 9,
    "lower": 4,
    "lowest": 7,
    "newest": 12,
    "wider": 5,
    "aaaa": 3,
    "aaaaa": 2,
    "banana": 6,
    "x": 40,
}


def spelt(words: dict[str, int]) -> list[tuple[list[str], int]]:
    return [([c if i == 0 else f"##{c}" for i, c in enumerate(word)], n) for word, n in words.items()]


def merged(pieces: list[str], left: str, right: str) -> list[str]:
    out: list[str] = []
    for piece in pieces:
        # A piece that has just been made cannot be merged again in the same pass.
        if out and out[-1] == left and piece == right and not isinstance(out[-1], Made):
            out[-1] = Made(join(left, right))
        else:
            out.append(piece)
    return [str(piece) for piece in out]


class Made(str):
    __slots__ = ()


def likelihood(words: list[tuple[list[str], int]]) -> float:
    """The log-likelihood of independent pieces, by definition, not as a difference."""
    counts: Counter[str] = Counter()
    for pieces, count in words:
        for piece in pieces:
            counts[piece] += count
    total = sum(counts.values())
    return sum(count * math.log(count / total) for count in counts.values())


def test_wordpiece_merges_the_pair_that_raises_the_likelihood_most() -> None:
    words = spelt(WORDS)
    steps = 0
    for left, right in merges(words):
        before = likelihood(words)
        gains = {}
        for pair in {pair for pieces, _ in words for pair in pairwise(pieces)}:
            tried = [(merged(pieces, *pair), count) for pieces, count in words]
            times = sum((len(p) - len(q)) * n for (p, n), (q, _) in zip(words, tried, strict=True))
            if times >= 2:
                gains[pair] = likelihood(tried) - before
        assert gains[left, right] >= max(gains.values()) - 1e-9
        assert gains[left, right] > 0
        words = [(merged(pieces, left, right), count) for pieces, count in words]
        steps += 1
    assert steps > 10


def test_wordpiece_is_not_byte_pairs_of_the_most_frequent() -> None:
    """x and y are adjacent most often, but each is frequent alone; q never occurs without u."""
    words = {"xy": 50, "x": 400, "y": 400, "yx": 50, "quz": 30, "az": 30}
    first = next(merges(spelt(words)))
    frequent = Counter({pair: n for pieces, n in spelt(words) for pair in pairwise(pieces)})
    assert first == ("q", "##u")
    assert frequent.most_common(1)[0][0] != first


def test_wordpiece_keeps_to_its_size_and_the_characters_it_knows() -> None:
    pieces = learn_pieces(WORDS, 25)
    assert len(pieces) == len(set(pieces)) == 25
    assert learn_pieces({"ab": 5, "c": 1}, 2) == ["a", "##b"]
    many = {chr(0x4E00 + i): 2 for i in range(1500)}
    assert len(learn_pieces(many, 5000)) == 1000


def test_byte_pairs_merge_the_most_frequent_pair() -> None:
    texts = ["low low low lower newest newest widest", "newer newer wider bananas banana"] * 2
    tokenizer = SubwordTokenizer.train(texts, "bpe", 256 + 1 + 14, "gpt2")
    learned = [tuple(merge) for merge in json.loads(tokenizer.to_json())["model"]["merges"]]
    words = Counter(
        (" " * (i > 0) + word).replace(" ", "Ġ") for text in texts for i, word in enumerate(text.split(" "))
    )
    spelled = {word: list(word) for word in words}
    for left, right in learned:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, pieces in spelled.items():
            for pair in pairwise(pieces):
                pairs[pair] += words[word]
        assert pairs[left, right] == max(pairs.values())
        spelled = {word: merged(pieces, left, right) for word, pieces in spelled.items()}
    assert len(learned) == 14


def test_training_twice_gives_the_same(trained) -> None:
    for (kind, family), tokenizer in trained.items():
        again = SubwordTokenizer.train(TEXTS, kind, 620 if family == "clip" else 330, family)
        assert again.tokens == tokenizer.tokens, (kind, family)


@pytest.mark.parametrize(("kind", "size"), [("wordpiece", 5), ("bpe", 260), ("words", 3)])
def test_a_vocabulary_too_small_says_how_many_it_needs(kind, size) -> None:
    with pytest.raises(UserError, match=f"{size} is too small"):
        SubwordTokenizer.train(TEXTS, kind, size)


@pytest.mark.parametrize(("kind", "texts"), [("wordpiece", ["", "\0"]), ("words", []), ("chars", [""])])
def test_no_words_no_vocabulary(kind, texts) -> None:
    with pytest.raises(UserError, match="the texts hold no"):
        SubwordTokenizer.train(texts, kind, 300)


def test_an_id_outside_the_vocabulary_is_refused(trained) -> None:
    for tokenizer in trained.values():
        for wrong in (-1, len(tokenizer)):
            with pytest.raises(ValueError, match="ids run from 0"):
                tokenizer.decode([wrong])
        assert tokenizer.decode([]) == ""


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(UserError, match="no family of tokenizers 'berd', only bert, roberta"):
        SubwordTokenizer.train(["low lower"], "bpe", 300, "berd")


def test_a_vocabulary_that_knows_no_word_is_refused() -> None:
    with pytest.raises(UserError, match="holds no word of the texts whole"):
        SubwordTokenizer.train(["quick brown foxes jump"], "wordpiece", 7)
