"""Texts and pairs as tokens and as images, and tags at the first token of a word."""

import numpy as np
import pytest
import torch

from showtell.data.images.page import Page
from showtell.data.images.render.fonts import BUILT_IN
from showtell.data.qa.examples import Tagged
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.tagged_tokens import TaggedRows
from showtell.datasets.text_inputs import Drawn, Tokens, kept_lengths
from showtell.errors import UserError

TEXTS = ["the cat sat on the mat", "a dog ran in the park", "cats and dogs"] * 3


@pytest.fixture(scope="module", params=["wordpiece", "bpe"])
def tokenizer(request) -> SubwordTokenizer:
    return SubwordTokenizer.train(TEXTS, request.param, 300)


def test_a_pair_of_tokens_is_two_segments(tokenizer) -> None:
    given = Tokens(tokenizer, 64)
    (one, lost), (other, _) = given.prepare(("the cat", "a dog ran")), given.prepare(("the mat",))
    texts = given.batch([one, other], ()).texts
    first, second = (tokenizer.pieces(text).ids for text in ("the cat", "a dog ran"))
    row = [tokenizer.start, *first, tokenizer.end, *second, tokenizer.end]
    assert lost == 0
    assert texts.ids[0].tolist() == row
    assert texts.segments[0].tolist() == [0] * (len(first) + 2) + [1] * (len(second) + 1)
    assert not texts.segments[1].any()
    assert texts.keep[1].sum() == len(tokenizer.encode("the mat"))
    assert Tokens(tokenizer, 64, num_segments=0).batch([one], ()).texts.segments is None


def test_a_cut_pair_fits_and_loses_of_the_longer_text(tokenizer) -> None:
    short, long = "a dog", " ".join(TEXTS)
    rows, lost = Tokens(tokenizer, 12).prepare((long, short))
    assert len(rows[0]) + len(rows[1]) == 12 - 3
    assert rows[1] == tokenizer.pieces(short).ids[: len(rows[1])]
    assert lost == len(tokenizer.pieces(long).ids) + len(tokenizer.pieces(short).ids) - 9


def test_lengths_are_kept_against_a_loop_over_single_tokens() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        lengths, room = generator.integers(0, 30, 2).tolist(), int(generator.integers(0, 40))
        kept = list(lengths)
        while sum(kept) > room:
            kept[kept.index(max(kept))] -= 1
        found = kept_lengths(lengths, room)
        assert sum(found) == sum(kept)
        assert sorted(found) == sorted(kept)


def test_a_pair_is_drawn_as_two_blocks_with_paper_between(tokenizer) -> None:
    given = Drawn(tokenizer, 100, Page(96, 160, 8), (BUILT_IN,))
    pair, _ = given.prepare(("the cat", "a dog"))
    line, _ = given.prepare(("the cat a dog",))

    def gaps(item) -> list[int]:
        inked = (given.batch([item], (1,)).images.pixels[0, 0] < 128).any(1)
        rows = inked.nonzero()[:, 0]
        return [int(gap) for gap in rows.diff() - 1 if gap > 0]

    assert max(gaps(pair), default=0) > 8
    assert max(gaps(line), default=0) < 8
    one, other = given.batch([pair], (1,)), given.batch([pair], (1,))
    assert torch.equal(one.images.pixels, other.images.pixels)


def test_a_drawn_text_is_cut_to_tokens_and_refused_without_a_font(tokenizer) -> None:
    given = Drawn(tokenizer, 4, Page(32, 96, 8), (BUILT_IN,))
    (text,), lost = given.prepare(("the cat sat on the mat",))
    assert "the cat sat on the mat".startswith(text)
    kept = len(tokenizer.pieces(text).ids)
    assert 0 < kept <= 4
    assert lost == len(tokenizer.pieces("the cat sat on the mat").ids) - kept
    with pytest.raises(UserError, match="empty"):
        given.prepare((" ",))
    with pytest.raises(UserError):
        given.prepare(("猫",))


def test_tags_stand_at_the_first_token_of_each_word(tokenizer) -> None:
    example = Tagged(("the", "unheard-of", "cat", "!"), ("DET", "ADJ", "NOUN", "PUNCT"))
    names = ("ADJ", "DET", "NOUN", "PUNCT")
    for given in (Tokens(tokenizer, 64), Drawn(tokenizer, 62, Page(32, 96, 8), (BUILT_IN,))):
        rows = TaggedRows(given, names, 62)
        row, lost = rows.prepare(example)
        batch = rows.batch([row], (0,))
        tagged = [names[tag] for tag in batch.targets.tags[0].tolist() if tag >= 0]
        assert lost == 0
        assert tagged == list(example.tags)
        assert len(row.ids) > 4
        for word, place in zip(example.tokens, row.first, strict=True):
            begin, end = row.offsets[place]
            assert word.startswith(row.text[begin:end].strip())
        assert batch.texts.ids[0].tolist() == [tokenizer.start, *row.ids, tokenizer.end]
    assert not batch.targets.boxes[0, row.first[2] + 1].isnan().any()
    assert batch.images.pixels.shape == (1, 3, 32, 96)


def test_a_long_sentence_is_read_in_parts_that_lose_nothing(tokenizer) -> None:
    words = ("the", "unheard-of", "cat", "sat", "there", "on", "the", "mat", ".")
    tags = tuple("ABCDEFGHI")
    for given in (Tokens(tokenizer, 64), Drawn(tokenizer, 62, Page(32, 96, 8), (BUILT_IN,))):
        long = len(tokenizer.pieces("unheard-of").ids)
        for limit in (2, long, 62):
            rows = TaggedRows(given, tags, limit)
            parts = [*rows.parts(Tagged(words, tags))]
            assert (sum((part.tokens for part in parts), ()), sum((part.tags for part in parts), ())) == (
                words,
                tags,
            )
            assert len(parts) == 1 or limit < 62
            for part in parts:
                row, lost = rows.prepare(part)
                assert min(row.first) >= 0
                assert not lost or (len(part.tokens) == 1 and limit < long)


def test_a_word_that_a_cut_takes_away_has_no_token(tokenizer) -> None:
    rows = TaggedRows(Tokens(tokenizer, 64), ("X",), 2)
    row, lost = rows.prepare(Tagged(("the", "cat", "sat", "there"), ("X",) * 4))
    assert lost > 0
    assert len(row.ids) == 2
    assert row.first[0] == 0
    assert row.first[-1] == -1
