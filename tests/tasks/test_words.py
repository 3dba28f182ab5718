"""Similar words and analogies: arithmetic on planted vectors, and whatever a user may type."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from showtell.data.tokenizers.words import SPECIAL, WordTokenizer
from showtell.errors import UsageError, UserError
from showtell.tasks.words import analogy, score_analogies, score_similarity, similar

VOCABULARY = ["man", "men", "woman", "women", "boy", "boys", "狗"]


def tokenizer_of(*words):
    """A tokenizer with these words, in this order."""
    return WordTokenizer.train(" ".join([w] * (len(words) - i)) for i, w in enumerate(words))


@pytest.fixture(scope="module")
def tokenizer():
    tokenizer = tokenizer_of(*VOCABULARY)
    assert tokenizer.words[len(SPECIAL) :] == VOCABULARY
    return tokenizer


@pytest.fixture(scope="module")
def vectors(tokenizer):
    """One axis each for man, woman and boy, a fourth for the plural; special tokens beside `man`."""
    vectors = torch.zeros(len(tokenizer), 5)
    vectors[: len(SPECIAL), 0] = 1
    for axis, (one, many) in enumerate([("man", "men"), ("woman", "women"), ("boy", "boys")]):
        vectors[tokenizer.id_of(one), axis] = 1
        vectors[tokenizer.id_of(many), axis] = 1
        vectors[tokenizer.id_of(many), 3] = 0.5
    vectors[tokenizer.id_of("狗"), 4] = 3
    return vectors


def test_similar_is_by_cosine_without_the_word_and_the_special_tokens(vectors, tokenizer):
    found = similar(vectors, tokenizer, "man")
    assert found[0].word == "men"
    assert {f.word for f in found} == set(VOCABULARY) - {"man"}
    assert found[0].score == pytest.approx(1 / 1.25**0.5)
    assert similar(vectors * 7, tokenizer, " Man! ", top=2) == found[:2]


def test_analogy_leaves_out_the_queried_words(vectors, tokenizer):
    assert analogy(vectors, tokenizer, "man", "men", "woman")[0].word == "women"
    found = {f.word for f in analogy(vectors, tokenizer, "man", "men", "woman", top=99)}
    assert found == set(VOCABULARY) - {"man", "men", "woman"}


def test_analogy_with_a_word_twice_still_counts_it_twice(vectors, tokenizer):
    """man : man :: woman is the neighbourhood of `woman`."""
    found = analogy(vectors, tokenizer, "man", "man", "woman", top=1)
    assert found[0].word == "women"
    assert found[0].score == pytest.approx(similar(vectors, tokenizer, "woman", top=1)[0].score)


@pytest.mark.parametrize(("word", "hint"), [("womam", "woman"), ("boyz", "boy"), ("zzzz", "no word")])
def test_an_unknown_word_suggests_similar_spellings(vectors, tokenizer, word, hint):
    with pytest.raises(UsageError, match=hint) as caught:
        similar(vectors, tokenizer, word)
    assert repr(word) in str(caught.value)
    with pytest.raises(UsageError, match=hint):
        analogy(vectors, tokenizer, "man", word, "boy")


@pytest.mark.parametrize("word", ["", "   ", "?!", "two words", "<pad>", "<end>", "\x00"])
def test_what_is_not_one_known_word_is_refused(vectors, tokenizer, word):
    with pytest.raises(UsageError):
        similar(vectors, tokenizer, word)


@settings(deadline=None, max_examples=30)
@given(st.integers(-3, 30), st.sampled_from(VOCABULARY), st.integers(0, 10))
def test_as_many_words_as_requested_nearest_first(top, word, seed):
    tokenizer = tokenizer_of(*VOCABULARY)
    vectors = torch.randn(len(tokenizer), 3, generator=torch.Generator().manual_seed(seed))
    found = similar(vectors, tokenizer, word, top)
    assert len(found) == min(max(top, 0), len(VOCABULARY) - 1)
    scores = [f.score for f in found]
    assert scores == sorted(scores, reverse=True)
    assert all(-1.001 <= s <= 1.001 for s in scores)


def test_analogies_are_scored_over_those_covered(vectors, tokenizer):
    lines = [
        ": plural\n",
        "man men woman women\n",
        "Man Men Boy Boys",
        "man men king kings",
        ": odd",
        "men boy boys man",
    ]
    scores = score_analogies(vectors, tokenizer, lines, chunk=2)
    assert (scores["plural"].correct, scores["plural"].covered, scores["plural"].total) == (2, 2, 3)
    assert scores["plural"].accuracy == 1
    assert (scores["odd"].correct, scores["odd"].covered) == (0, 1)
    assert (scores["all"].correct, scores["all"].covered, scores["all"].total) == (2, 3, 4)


def test_scored_analogies_equal_analogies_queried_one_by_one():
    words = [f"w{i}" for i in range(20)]
    tokenizer = tokenizer_of(*words)
    vectors = torch.randn(len(tokenizer), 4, generator=torch.Generator().manual_seed(0))
    generator = np.random.default_rng(0)
    queries = [generator.choice(words, 3, replace=False).tolist() for _ in range(30)]
    answers = [analogy(vectors, tokenizer, *abc, top=1)[0].word for abc in queries]
    right = [" ".join([*abc, d]) for abc, d in zip(queries, answers, strict=True)]
    assert score_analogies(vectors, tokenizer, right)["all"].accuracy == 1
    wrong = [line.rsplit(" ", 1)[0] + " w0" for line, d in zip(right, answers, strict=True) if d != "w0"]
    assert score_analogies(vectors, tokenizer, wrong)["all"].correct == 0


def test_no_analogy_covered_is_no_accuracy(vectors, tokenizer):
    score = score_analogies(vectors, tokenizer, [": a", "w x y z"])["all"]
    assert (score.accuracy, score.covered, score.total) == (None, 0, 1)
    assert score_analogies(vectors, tokenizer, [])["all"].total == 0


def test_a_malformed_line_is_named(vectors, tokenizer):
    with pytest.raises(UserError, match=r"line 2.*three"):
        score_analogies(vectors, tokenizer, [": a", "one two three"])
    with pytest.raises(UserError, match=r"line 2.*tiger"):
        score_similarity(vectors, tokenizer, ["# head", "tiger cat 7"])
    with pytest.raises(UserError, match="line 1"):
        score_similarity(vectors, tokenizer, ["tiger\tcat\tmuch"])


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 4), min_size=3, max_size=8))
def test_similarity_is_the_correlation_of_mean_ranks(ratings):
    def ranks(values):
        return [sum(v < x for v in values) + (sum(v == x for v in values) + 1) / 2 for x in values]

    tokenizer = tokenizer_of(*VOCABULARY)
    vectors = torch.randn(len(tokenizer), 3, generator=torch.Generator().manual_seed(1))
    pairs = [(VOCABULARY[i % 7], VOCABULARY[(3 * i + 1) % 7]) for i in range(len(ratings))]
    score = score_similarity(
        vectors, tokenizer, [f"{a}\t{b}\t{j}" for (a, b), j in zip(pairs, ratings, strict=True)]
    )
    if len(set(ratings)) == 1:
        assert score.spearman is None
        return
    ids = [[tokenizer.id_of(a), tokenizer.id_of(b)] for a, b in pairs]
    cosine = torch.cosine_similarity(*vectors.double()[torch.tensor(ids)].unbind(1))
    expected = np.corrcoef(ranks(cosine.numpy().round(6).tolist()), ranks(ratings))[0, 1]
    assert score.spearman == pytest.approx(expected, abs=1e-6)


def test_the_real_word_sets_are_read_whole(shared_data, vectors, tokenizer):
    lines = (shared_data / "words" / "questions-words.txt").read_text().splitlines()
    scores = score_analogies(vectors, tokenizer, lines)
    assert scores["all"].total == 19544
    assert len(scores) == 15
    # The file holds "man men woman women" and its converse, and no other line of our few words.
    assert (scores["gram8-plural"].correct, scores["all"].covered) == (2, 2)
    pairs = (shared_data / "words" / "wordsim353.tsv").read_text().splitlines()
    assert score_similarity(vectors, tokenizer, pairs).total == 353
