"""Training examples from running text: pairs, full sentences, blocks, and packed rows."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import example as case
from hypothesis import given, settings
from hypothesis import strategies as st

from showtell.data.texts.contiguous import Blocks, FullSentences
from showtell.data.texts.corpus import Corpus, Example
from showtell.data.texts.pack import first_fit, pack, stack
from showtell.data.texts.pairs import SentencePairs
from showtell.errors import UserError
from showtell.nn.mask import attention_mask

START, END, PAD = 1, 2, 0
SIZES = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=6), min_size=1, max_size=6)


def corpus_of(sizes: list[list[int]]) -> Corpus:
    """A corpus of documents with sentences of these lengths; all tokens differ, every third begins a word."""
    lengths = [length for sentences in sizes for length in sentences]
    sentences = np.cumsum([0, *lengths])
    ids = np.arange(10, 10 + sum(lengths), dtype=np.uint16)
    begins = ids % 3 == 0
    begins[sentences[:-1]] = True
    return Corpus(ids, begins, sentences, np.cumsum([0, *map(len, sizes)]))


def drawn(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def check_groups(example: Example, corpus: Corpus) -> None:
    """Tokens of a word share a group; any other token is a group of its own."""
    assert example.groups[0] == 0
    steps = np.diff(example.groups)
    assert set(steps.tolist()) <= {0, 1}
    for step, before, now in zip(steps, example.ids, example.ids[1:], strict=False):
        goes_on = before >= 10 and now == before + 1 and not corpus.begins[now - 10]
        assert step == (not goes_on)


@settings(max_examples=100)
@given(SIZES, st.integers(3, 12))
def test_full_sentences_hold_every_token_once_in_order(sizes, max_length) -> None:
    corpus = corpus_of(sizes)
    rows = FullSentences(corpus, start=START, end=END, max_length=max_length)
    examples = [rows(item, drawn()) for item in range(len(rows))]
    assert [i for e in examples for i in e.ids if i >= 10] == corpus.ids.tolist()
    edges, ends = set(corpus.edges[1:-1] + 10), set(corpus.sentences + 10)
    for example in examples:
        ids = example.ids.tolist()
        assert len(ids) <= max_length
        assert (ids[0], ids[-1]) == (START, END)
        check_groups(example, corpus)
        inner = ids[1:-1]
        for before, now, after in zip(inner, inner[1:], inner[2:], strict=False):
            assert (now == END) == (after in edges) if after >= 10 and now == END else True
            assert not (before >= 10 and now in edges)  # there is a separator between documents
        first, last = inner[0], inner[-1] + 1
        longest = max(length for sentences in sizes for length in sentences)
        if longest <= max_length - 2:
            assert first in ends
            assert last in ends


def test_full_sentences_are_as_many_as_fit_and_separate_documents() -> None:
    rows = FullSentences(corpus_of([[3, 2], [1], [9]]), start=START, end=END, max_length=9)
    assert [rows(i, drawn()).ids.tolist() for i in range(len(rows))] == [
        [1, 10, 11, 12, 13, 14, 2, 15, 2],
        [1, *range(16, 23), 2],
        [1, 23, 24, 2],
    ]


@settings(max_examples=100)
@given(SIZES, st.integers(2, 12))
def test_blocks_predict_every_token_but_the_first_once(sizes, max_length) -> None:
    corpus = corpus_of(sizes)
    blocks = Blocks(corpus, start=END, end=END, max_length=max_length)
    examples = [blocks(item, drawn()) for item in range(len(blocks))]
    stream = [END]
    for begin, end in zip(corpus.edges, corpus.edges[1:], strict=False):
        stream += [*corpus.ids[begin:end].tolist(), END]
    assert [i for e in examples for i in e.ids[1:]] == stream[1:]
    assert all(len(e.ids) == max_length for e in examples[:-1])
    assert 2 <= len(examples[-1].ids) <= max_length
    for before, after in pairwise(examples):
        assert before.ids[-1] == after.ids[0]
    for example in examples:
        check_groups(example, corpus)


LONG = corpus_of([[4, 5, 3, 6, 2, 7, 4, 4], [3, 3, 5], [6, 2, 2, 9, 4], [8]])


@settings(max_examples=100)
@given(st.integers(0, 2**32), st.integers(5, 60))
@case(134217728, 40)
def test_a_pair_is_whole_sentences_of_one_document_or_two(seed, max_length) -> None:
    pairs = SentencePairs(LONG, start=START, end=END, max_length=max_length)
    generator = drawn(seed)
    document = np.repeat(np.arange(len(LONG.edges) - 1), np.diff(LONG.edges))
    for item in range(len(pairs)):
        example = pairs(item, generator)
        ids, segments = example.ids, example.segments
        assert len(ids) <= max_length
        assert ids[0] == START
        assert (ids == END).sum() == 2
        assert ids[-1] == END
        middle = int(np.flatnonzero(ids == END)[0])
        assert segments.tolist() == [0] * (middle + 1) + [1] * (len(ids) - middle - 1)
        a, b = ids[1:middle], ids[middle + 1 : -1]
        for part in (a, b):
            assert len(part)
            assert (np.diff(part) == 1).all()
        same = document[a[0] - 10] == document[b[0] - 10]
        assert same == example.follows
        check_groups(example, LONG)
        if max_length >= 3 + 35 + 9:  # the longest document and the longest sentence of another fit
            assert {a[0] - 10, a[-1] - 9, b[0] - 10, b[-1] - 9} <= set(LONG.sentences)
            if same:
                assert b[0] == a[-1] + 1


def test_pairs_that_are_longer_than_an_example_are_counted() -> None:
    pairs = SentencePairs(corpus_of([[4, 9, 3], [3, 3], [8, 8]]), start=START, end=END, max_length=10)
    assert [(len(pairs.whole(item)), int(pairs.lost[item])) for item in range(len(pairs))] == [
        (13, 6),
        (6, 0),
        (16, 9),
    ]
    assert all(len(pairs(item, drawn()).ids) <= 10 for item in range(len(pairs)))


def test_half_of_the_pairs_follow_and_the_rest_come_from_any_document() -> None:
    pairs = SentencePairs(LONG, start=START, end=END, max_length=64)
    generator = drawn(1)
    examples = [pairs(0, generator) for _ in range(4000)]
    assert 1874 <= sum(bool(e.follows) for e in examples) <= 2126  # 2000 +- 4 standard deviations
    document = np.repeat(np.arange(4), np.diff(LONG.edges))
    seconds = [document[e.ids[e.segments == 1][0] - 10] for e in examples if not e.follows]
    assert set(seconds) == {1, 2, 3}
    counts = np.bincount(seconds, minlength=4)[1:] / len(seconds)
    assert np.abs(counts - 1 / 3).max() < 4 * np.sqrt(2 / 9 / len(seconds))
    cuts = {int((e.segments == 0).sum()) for e in examples}
    assert len(cuts) == 7  # between any two of eight sentences


def test_the_length_hardly_predicts_whether_a_sentence_follows() -> None:
    generator = drawn(3)
    sizes = [[int(n) for n in generator.integers(3, 30, 15)] for _ in range(400)]
    pairs = SentencePairs(corpus_of(sizes), start=START, end=END, max_length=128)
    examples = [pairs(item, generator) for _ in range(4) for item in range(len(pairs))]
    lengths = np.array([len(e.ids) for e in examples])
    follows = np.array([e.follows for e in examples])
    # The best prediction from the length alone.
    edges = np.quantile(lengths, np.linspace(0, 1, 9))
    bins = np.digitize(lengths, edges[1:-1])
    right = sum(max(follows[bins == n].sum(), (~follows[bins == n]).sum()) for n in range(8))
    assert right / len(examples) < 0.60


def test_a_sentence_that_is_too_long_is_cut_at_either_end() -> None:
    corpus = corpus_of([[50, 3], [60, 4]])
    pairs = SentencePairs(corpus, start=START, end=END, max_length=23)
    generator = drawn()
    for _ in range(200):
        example = pairs(0, generator)
        first = example.ids[example.segments == 0][1:-1]
        second = example.ids[example.segments == 1][:-1]
        assert len(example.ids) == 23
        if example.follows:
            assert len(second) == 3
            assert first[0] > 10
            assert first[-1] < 59
        check_groups(example, corpus)


def test_the_same_generator_gives_the_same_pair() -> None:
    pairs = SentencePairs(LONG, start=START, end=END, max_length=30)
    for seed in range(20):
        one, two = pairs(0, drawn(seed)), pairs(0, drawn(seed))
        assert one.ids.tolist() == two.ids.tolist()
        assert one.follows == two.follows


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SentencePairs(corpus_of([[3, 4]]), start=1, end=2, max_length=20), "two documents"),
        (lambda: SentencePairs(corpus_of([[3], [4]]), start=1, end=2, max_length=20), "two sentences"),
        (lambda: SentencePairs(LONG, start=1, end=2, max_length=4), "max_length 4"),
        (lambda: FullSentences(corpus_of([]), start=1, end=2, max_length=20), "no text"),
        (lambda: FullSentences(LONG, start=1, end=2, max_length=2), "max_length 2"),
        (lambda: Blocks(corpus_of([]), start=2, end=2, max_length=20), "no text"),
        (lambda: Blocks(LONG, start=2, end=2, max_length=1), "max_length 1"),
    ],
)
def test_too_little_text_is_an_error(make, message) -> None:
    with pytest.raises(UserError, match=message):
        make()


# --- packing

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=30)


@given(LENGTHS, st.integers(12, 40))
def test_every_text_is_in_one_row_that_has_room(lengths, capacity) -> None:
    rows = first_fit(lengths, capacity)
    assert sorted(text for row in rows for text in row) == list(range(len(lengths)))
    filled = [sum(lengths[text] for text in row) for row in rows]
    assert max(filled) <= capacity
    assert all(
        a + b > capacity for n, a in enumerate(filled) for b in filled[n + 1 :]
    )  # no two rows fit in one


def test_a_text_longer_than_a_row_is_refused() -> None:
    with pytest.raises(ValueError, match="13 tokens is longer than a row of 12"):
        first_fit([3, 13], 12)


def texts_of(lengths: list[int], *, paired: bool = True) -> list[Example]:
    texts, at = [], 10
    for length in lengths:
        groups = np.arange(length) // 2
        segments = (np.arange(length) >= length // 2).astype(np.int64) if paired else None
        texts.append(
            Example(np.arange(at, at + length), groups, segments, length % 2 == 0 if paired else None)
        )
        at += length
    return texts


@given(LENGTHS, st.integers(12, 40))
def test_packed_texts_keep_their_tokens_words_positions_and_distance(lengths, capacity) -> None:
    examples = texts_of(lengths)
    batch = pack(examples, capacity, PAD)
    assert batch.texts.ids.shape[1] <= capacity
    assert all(
        t.dtype == torch.int64
        for t in (batch.texts.ids, batch.texts.groups, batch.texts.sequences, batch.texts.positions)
    )
    assert int(batch.texts.keep.sum()) == sum(lengths)
    assert (batch.texts.ids[~batch.texts.keep] == PAD).all()
    assert sorted(batch.texts.ids[batch.texts.keep].tolist()) == list(range(10, 10 + sum(lengths)))
    by_first = {int(e.ids[0]): e for e in examples}
    starts = (batch.texts.positions == 0) & batch.texts.keep
    assert len(batch.targets.follows) == int(starts.sum()) == len(examples)
    for follows, (row, at) in zip(batch.targets.follows.tolist(), starts.nonzero().tolist(), strict=True):
        example = by_first[int(batch.texts.ids[row, at])]
        place = slice(at, at + len(example.ids))
        assert follows == example.follows
        assert batch.texts.ids[row, place].tolist() == example.ids.tolist()
        assert batch.texts.positions[row, place].tolist() == list(range(len(example.ids)))
        assert batch.texts.segments[row, place].tolist() == example.segments.tolist()
        assert (
            batch.texts.groups[row, place] - batch.texts.groups[row, at]
        ).tolist() == example.groups.tolist()
        assert len(batch.texts.sequences[row, place].unique()) == 1
    for row in range(len(batch.texts.ids)):
        groups = batch.texts.groups[row][batch.texts.keep[row]]
        assert set(groups.diff().tolist()) <= {0, 1}
        assert int(groups.max()) < batch.texts.ids.shape[1]
    # Texts are separate: a token may attend to its own text and to nothing else.
    may = attention_mask(batch.texts.keep, queries=batch.texts.ids.shape[1], segments=batch.texts.sequences)[
        :, 0
    ]
    for row, example_of in enumerate(batch.texts.sequences):
        real = batch.texts.keep[row]
        assert torch.equal(may[row][real], (example_of[real, None] == example_of[None]) & real)
        assert may[row].any(-1).all()  # padding attends to something: no row of the softmax is empty


@given(LENGTHS)
def test_stacked_texts_are_one_per_row(lengths) -> None:
    examples = texts_of(lengths, paired=False)
    batch = stack(examples, 7)
    assert batch.texts.ids.shape == (len(lengths), max(lengths))
    assert batch.texts.keep.sum(1).tolist() == lengths
    assert (batch.texts.ids[~batch.texts.keep] == 7).all()
    assert [row[keep].tolist() for row, keep in zip(batch.texts.ids, batch.texts.keep, strict=True)] == [
        e.ids.tolist() for e in examples
    ]
    assert batch.texts.segments is batch.texts.sequences is batch.texts.positions is None
    with pytest.raises(ValueError, match="has no follows"):
        _ = batch.targets.follows
