"""Metrics of captioning and retrieval agree with the reference scorers and with their definitions."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from showtell.tasks.metrics import bleu, cider, median_rank, perplexity, ranks, recall, rouge_l

WORDS = st.sampled_from(["a", "dog", "runs", "on", "grass", "狗", "två"])
SENTENCE = st.lists(WORDS, min_size=1, max_size=9)
IMAGE = st.tuples(st.lists(WORDS, max_size=9), st.lists(SENTENCE, min_size=1, max_size=4))
CORPUS = st.lists(IMAGE, min_size=1, max_size=6)
DOG, MEN = ["a", "dog", "runs", "on", "grass"], ["two", "men", "eat", "red", "soup"]


def coco(hypotheses, references):
    """The scores of pycocoevalcap's pure Python scorers."""
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    candidates = {i: [" ".join(words)] for i, words in enumerate(hypotheses)}
    targets = {i: [" ".join(ref) for ref in refs] for i, refs in enumerate(references)}
    scorer = BleuScorer(n=4)
    for i in candidates:
        scorer += (candidates[i][0], targets[i])
    return (
        scorer.compute_score(option="closest")[0],
        Rouge().compute_score(targets, candidates)[0],
        Cider().compute_score(targets, candidates)[0],
    )


def flickr8k(shared_data, count):
    """Real captions: the first of each image in place of a model's, the others as references."""
    images = json.loads((shared_data / "flickr8k" / "dataset_flickr8k.json").read_text())["images"]
    captions = [[s["tokens"] for s in image["sentences"]] for image in images if image["split"] == "val"]
    return [c[0] for c in captions[:count]], [c[1:] for c in captions[:count]]


def test_agrees_with_coco_on_real_captions(shared_data):
    hypotheses, references = flickr8k(shared_data, 300)
    blue, rouge, consensus = coco(hypotheses, references)
    assert bleu(hypotheses, references) == pytest.approx(blue, abs=1e-6)
    assert rouge_l(hypotheses, references) == pytest.approx(rouge, abs=1e-9)
    assert cider(hypotheses, references) == pytest.approx(consensus, abs=1e-9)
    assert 0.15 < blue[3] < 0.5  # people agree this much: the comparison is not of zeros


@settings(deadline=None, max_examples=60)
@given(CORPUS)
def test_agrees_with_coco_on_odd_captions(corpus):
    """Empty sentences, repeated words, different numbers of references, other scripts."""
    hypotheses, references = zip(*corpus, strict=True)
    _, rouge, consensus = coco(hypotheses, references)
    assert rouge_l(hypotheses, references) == pytest.approx(rouge, abs=1e-9)
    assert cider(hypotheses, references) == pytest.approx(consensus, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(CORPUS)
def test_bleu_agrees_with_coco_wherever_it_is_defined(corpus):
    """COCO's scorer turns 0/0 and a product with zero into small positive numbers; ours is zero."""
    hypotheses, references = zip(*corpus, strict=True)
    theirs, _, _ = coco(hypotheses, references)
    for ours, blue in zip(bleu(hypotheses, references), theirs, strict=True):
        assert ours == pytest.approx(blue, abs=1e-3) if ours else blue < 0.032  # 1e-6 ** (1 / 4)


@settings(deadline=None, max_examples=40)
@given(CORPUS, st.randoms(use_true_random=False))
def test_the_order_of_images_and_references_does_not_matter(corpus, random):
    shuffled = [(words, random.sample(refs, len(refs))) for words, refs in random.sample(corpus, len(corpus))]
    for metric in (bleu, rouge_l, cider):
        before = metric(*zip(*corpus, strict=True))
        assert metric(*zip(*shuffled, strict=True)) == pytest.approx(before, abs=1e-12)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(WORDS, min_size=4, max_size=9), min_size=1, max_size=5))
def test_a_perfect_caption_gets_the_full_score(sentences):
    references = [[words, ["another"]] for words in sentences]
    assert bleu(sentences, references) == pytest.approx([1.0] * 4)
    assert max(bleu(sentences, references)) <= 1
    assert rouge_l(sentences, references) == pytest.approx(1.0)


def test_cider_gives_ten_to_a_perfect_and_none_to_a_common_caption():
    assert cider([DOG, MEN], [[DOG], [MEN]]) == pytest.approx(10)
    assert cider([DOG, DOG], [[DOG], [DOG]]) == 0  # what fits every image distinguishes none
    assert cider([DOG], [[DOG]]) == 0


def test_cider_falls_with_surplus_words():
    scores = [cider([DOG + ["very"] * n, MEN], [[DOG], [MEN]]) for n in range(5)]
    assert scores == sorted(scores, reverse=True)
    assert scores[4] < scores[0] - 0.5


def test_an_empty_caption_scores_nothing():
    assert bleu([[]], [[["a", "dog"]]]) == [0.0] * 4
    assert rouge_l([[]], [[["a", "dog"]]]) == 0
    assert cider([[], ["a"]], [[["a", "dog"]], [["b"]]]) == 0


def test_bleu_without_a_matching_4_gram_is_zero_not_smoothed():
    assert bleu([["a", "dog"]], [[["a", "dog"]]]) == pytest.approx([1, 1, 0, 0])


@pytest.mark.parametrize("metric", [bleu, rouge_l, cider])
@pytest.mark.parametrize(("hypotheses", "references"), [([], []), ([["a"]], []), ([["a"]], [[]])])
def test_an_image_without_reference_is_refused(metric, hypotheses, references):
    with pytest.raises(ValueError, match="reference"):
        metric(hypotheses, references)


@given(st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=5), st.data())
def test_rank_is_the_number_of_images_that_score_at_least_as_high(rows, data):
    targets = [data.draw(st.integers(0, 3)) for _ in rows]
    expected = [sum(score >= row[t] for score in row) for row, t in zip(rows, targets, strict=True)]
    assert ranks(np.array(rows), targets).tolist() == expected


def test_nan_scores_rank_last():
    assert ranks(np.full((1, 7), np.nan), [2]).tolist() == [7]
    assert ranks(np.array([[0.5, np.nan, 0.1]]), [0]).tolist() == [2]


@given(st.lists(st.integers(1, 1000), min_size=1))
def test_recall_rises_with_k_and_the_median_is_where_it_passes_half(places):
    shares = recall(places, (1, 5, 10, 1000))
    assert list(shares.values()) == sorted(shares.values())
    assert shares[1000] == 1
    middle = math.ceil(median_rank(places))
    assert recall(places, [middle])[middle] >= 0.5


def test_perplexity_of_a_uniform_distribution_is_the_vocabulary_size():
    assert perplexity(-13 * math.log(8000), 13) == pytest.approx(8000)


def test_a_thousand_images_take_seconds(shared_data):
    import time

    hypotheses, references = flickr8k(shared_data, 1000)
    started = time.process_time()
    for metric in (bleu, rouge_l, cider):
        metric(hypotheses, references)
    assert time.process_time() - started < 10
