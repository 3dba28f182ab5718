"""Metrics of captioning and retrieval, as papers report them.

Sentences are lists of words, split and lower-cased by one tokenizer on both sides. `hypotheses` holds one
sentence per image, `references` one or several per image. Scores run from 0 to 1, CIDEr's from 0 to 10.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Sentence = Sequence[str]
NGRAM_ORDER = 4
ROUGE_BETA = 1.2
CIDER_SIGMA = 6.0


def bleu(hypotheses: Sequence[Sentence], references: Sequence[Sequence[Sentence]]) -> list[float]:
    """BLEU-1 to BLEU-4 of the corpus: the precision of n-grams against the references.

    Counts are summed over the corpus, not smoothed, and each length is compared with that of the closest
    reference. Source: Papineni et al. 2002, "BLEU".

    >>> a, b = "a dog runs on grass".split(), "a dog runs on the grass".split()
    >>> [round(score, 3) for score in bleu([a], [[b]])]
    [0.819, 0.709, 0.65, 0.579]
    """
    from sacrebleu.metrics import BLEU

    _check(hypotheses, references)
    # sacrebleu wants equally many references per image: repeating the last changes nothing.
    streams = max(map(len, references))
    total = BLEU(tokenize="none", smooth_method="none", force=True).corpus_score(
        [" ".join(words) for words in hypotheses],
        [[" ".join(refs[min(i, len(refs) - 1)]) for refs in references] for i in range(streams)],
    )
    orders = range(1, NGRAM_ORDER + 1)
    lengths = total.sys_len, total.ref_len
    scores = [
        BLEU.compute_bleu(total.counts[:n], total.totals[:n], *lengths, max_ngram_order=n) for n in orders
    ]
    # exp(mean(log(100 %))) is 100.00000000000004.
    return [min(score.score / 100, 1.0) for score in scores]


def rouge_l(hypotheses: Sequence[Sentence], references: Sequence[Sequence[Sentence]]) -> float:
    """ROUGE-L: mean F-score of the longest common subsequence with a reference.

    It takes the best precision and the best recall over the references, with beta 1.2, as COCO's evaluation
    does.
    Source: Lin 2004, "ROUGE", section 3.

    >>> rouge_l(["a dog runs".split()], [["a dog runs".split(), "a cat".split()]])
    1.0
    """
    _check(hypotheses, references)
    scores = []
    for words, refs in zip(hypotheses, references, strict=True):
        shared = [_longest_common(words, ref) for ref in refs]
        precision = max(shared) / max(len(words), 1)
        recall = max(s / max(len(ref), 1) for s, ref in zip(shared, refs, strict=True))
        weighted = recall + ROUGE_BETA**2 * precision
        scores.append((1 + ROUGE_BETA**2) * precision * recall / weighted if weighted else 0.0)
    return sum(scores) / len(scores)


def cider(hypotheses: Sequence[Sentence], references: Sequence[Sequence[Sentence]]) -> float:
    """CIDEr: mean similarity of tf-idf-weighted n-grams to those of the references, 0 to 10.

        CIDEr = 10 / 4 sum_n mean_refs exp(-(l_h - l_r)^2 / 2 sigma^2) min(h_n, r_n) . r_n / |h_n| |r_n|

    where `h_n`, `r_n` are tf-idf vectors of n-grams and document frequencies are counted over the images
    of `references`. This is what captioning papers call CIDEr and the paper itself CIDEr-D, with sigma 6,
    without stemming, as in COCO's evaluation. A single image has no document frequencies, and scores 0.
    Source: Vedantam et al. 2015, "CIDEr", section 4 and that on gameability.

    >>> captions = ["a dog runs on grass".split(), "two men eat red soup".split()]
    >>> round(cider(captions, [[words] for words in captions]), 6)
    10.0
    """
    scores = cider_of_each(hypotheses, references)
    return sum(scores) / len(scores)


def cider_of_each(hypotheses: Sequence[Sentence], references: Sequence[Sequence[Sentence]]) -> list[float]:
    """The CIDEr of each image's hypothesis, whose mean is `cider`."""
    _check(hypotheses, references)
    log_images = math.log(len(references))
    totals = [0.0] * len(hypotheses)
    for order in range(1, NGRAM_ORDER + 1):
        counts = [[ngrams(ref, order) for ref in refs] for refs in references]
        frequency = Counter(gram for refs in counts for gram in set().union(*refs))
        idf = {gram: log_images - math.log(n) for gram, n in frequency.items()}
        for image, (words, refs, ref_counts) in enumerate(zip(hypotheses, references, counts, strict=True)):
            said = {gram: n * idf.get(gram, log_images) for gram, n in ngrams(words, order).items()}
            said_norm = norm(said)
            for ref, grams in zip(refs, ref_counts, strict=True):
                meant = {gram: n * idf[gram] for gram, n in grams.items()}
                cosine = clipped_cosine(said, said_norm, meant, norm(meant))
                distance = (len(words) - len(ref)) ** 2
                totals[image] += cosine * math.exp(-distance / (2 * CIDER_SIGMA**2)) / len(refs)
    return [10 * total / NGRAM_ORDER for total in totals]


def clipped_cosine(
    said: Mapping[Any, float], said_norm: float, meant: Mapping[Any, float], meant_norm: float
) -> float:
    """The cosine of weighted n-grams, where none counts for more than is meant; 0 if there are none."""
    norms = said_norm * meant_norm
    if not norms:
        return 0.0
    return sum(min(said[gram], meant[gram]) * meant[gram] for gram in said.keys() & meant.keys()) / norms


def ranks(scores: np.ndarray, targets: Sequence[int] | np.ndarray) -> np.ndarray:
    """Rank of each query's target, 1 for the best, `int64 [Q]`.

    `scores [Q N]`, higher is better; `targets [Q]` are columns. Ties count against the model: one that scores
    everything alike, or NaN, ranks last.

    >>> ranks(np.array([[0.9, 0.1, 0.5], [0.3, 0.3, 0.3]]), [2, 0]).tolist()
    [2, 3]
    """
    scores = np.asarray(scores)
    own = scores[np.arange(len(scores)), np.asarray(targets)]
    return scores.shape[1] - (scores < own[:, None]).sum(1)


def recall(ranks: Sequence[int] | np.ndarray, at: Sequence[int] = (1, 5, 10)) -> dict[int, float]:
    """R@k: share of queries whose target is among the first k, by k.

    >>> recall([1, 3, 50, 8])
    {1: 0.25, 5: 0.5, 10: 0.75}
    """
    return {k: float(np.mean(np.asarray(ranks) <= k)) for k in at}


def median_rank(ranks: Sequence[int] | np.ndarray) -> float:
    """Median rank of the targets.

    >>> median_rank([1, 3, 50, 8])
    5.5
    """
    return float(np.median(np.asarray(ranks)))


def perplexity(logprob: float, predictions: int) -> float:
    """Perplexity: `exp(-logprob / predictions)`.

    `logprob` is the log-probability of all texts together, nats; `predictions` the number of tokens that it
    covers, ends included.

    >>> round(perplexity(4 * math.log(1 / 50), 4), 6)
    50.0
    """
    return math.exp(-logprob / predictions)


def _check(hypotheses: Sequence[Sentence], references: Sequence[Sequence[Sentence]]) -> None:
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses for the references of {len(references)} images")
    if not references or not all(references):
        raise ValueError("there must be an image, and every image needs at least one reference")


def ngrams(words: Sequence[Any], order: int) -> Counter[tuple[Any, ...]]:
    """How often each n-gram is said."""
    return Counter(zip(*(words[start:] for start in range(order)), strict=False))


def norm(vector: Mapping[Any, float]) -> float:
    """The length of a vector of weights."""
    return math.sqrt(sum(weight * weight for weight in vector.values()))


def _longest_common(a: Sentence, b: Sentence) -> int:
    """Length of the longest common subsequence; one bit per word of `a`, so a table row is one integer.

    Source: Hyyrö 2004, "Bit-parallel LCS-length computation revisited", figure 3.
    """
    positions: dict[str, int] = {}
    for place, word in enumerate(a):
        positions[word] = positions.get(word, 0) | 1 << place
    row = (1 << len(a)) - 1
    for word in b:
        matches = row & positions.get(word, 0)
        row = (row + matches) | (row - matches)
    return len(a) - (row & (1 << len(a)) - 1).bit_count()


def character_error_rate(read: Sequence[str], texts: Sequence[str]) -> float:
    """Characters inserted, deleted and replaced in what was read, per character of the texts.

    >>> character_error_rate(["a dig", "cat"], ["a dog", "a cat"])
    0.3
    """
    errors = sum(edit_distance(one, text) for one, text in zip(read, texts, strict=True))
    return errors / max(sum(map(len, texts)), 1)


def edit_distance(one: str, other: str) -> int:
    """The least number of characters to insert, delete or replace that makes two texts equal.

    Source: Levenshtein 1966; Wagner & Fischer 1974, row by row.

    >>> edit_distance("kitten", "sitting"), edit_distance("", "abc")
    (3, 3)
    """
    letters = np.array([ord(character) for character in other], np.int64)
    column = np.arange(len(other) + 1)
    row = column.copy()
    for count, character in enumerate(one, 1):
        least = np.minimum(row[1:] + 1, row[:-1] + (letters != ord(character)))
        # Insertions run along the row: each place may be reached from any before it, one per character.
        row = np.minimum.accumulate(np.concatenate([[count], least]) - column) + column
    return int(row[-1])
