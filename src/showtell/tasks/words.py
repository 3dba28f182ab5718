"""Word vectors of a captioner: nearest words, analogies, and agreement with human similarity ratings."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from showtell.data.tokenizers.words import SPECIAL, WordTokenizer
from showtell.errors import UsageError, UserError

ALIKE = 0.8
"""Of two spellings, by `difflib`, from which one is likely meant by the other: 0.75 calls a zebra a bra."""


@dataclass(frozen=True)
class WordScore:
    """A word and its cosine similarity to the query, -1 to 1."""

    word: str
    score: float


@dataclass(frozen=True)
class AnalogyScore:
    """How many analogies were right; those with a word outside the vocabulary are left out."""

    correct: int
    covered: int
    total: int

    @property
    def accuracy(self) -> float | None:
        """Share of the covered ones that were right; None when none is covered."""
        return self.correct / self.covered if self.covered else None


@dataclass(frozen=True)
class SimilarityScore:
    """Agreement with human ratings of word similarity."""

    spearman: float | None
    """Rank correlation over the covered pairs, -1 to 1; None where either side is constant."""
    covered: int
    total: int


def similar(vectors: Tensor, tokenizer: WordTokenizer, word: str, top: int = 10) -> list[WordScore]:
    """The words nearest to `word` by cosine similarity, nearest first; `vectors [V D]`.

    Raises `UsageError`, suggesting similar spellings, when the vocabulary lacks the word.
    """
    return _nearest(F.normalize(vectors, dim=1), tokenizer, [_id(tokenizer, word)], [1.0], top)


def analogy(
    vectors: Tensor, tokenizer: WordTokenizer, a: str, b: str, c: str, top: int = 10
) -> list[WordScore]:
    """`a` is to `b` as `c` is to these words, best first: nearest to `b - a + c` among the others.

    `vectors [V D]`. Raises `UsageError`, suggesting similar spellings, when the vocabulary lacks a word.
    Source: Mikolov et al. 2013, "Linguistic regularities", equation 1, on vectors of length one.
    """
    queried = [_id(tokenizer, word) for word in (a, b, c)]
    return _nearest(F.normalize(vectors, dim=1), tokenizer, queried, [-1.0, 1.0, 1.0], top)


@torch.inference_mode()
def score_analogies(
    vectors: Tensor, tokenizer: WordTokenizer, lines: Iterable[str], chunk: int = 1024
) -> dict[str, AnalogyScore]:
    """Accuracy on word analogies by section, and over all of them under `all`.

    `lines` is the text of Google's `questions-words.txt`: `: section`, then four words per line, of which
    `analogy` must find the fourth among the whole vocabulary. Raises `UserError` for a line that is neither.
    Source: Mikolov et al. 2013, "Efficient estimation", section 4.1.
    """
    section = "unnamed"
    totals: dict[str, int] = {}
    names, questions = [], []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if words[:1] == [":"]:
            section = " ".join(words[1:])
        elif len(words) == 4:
            totals[section] = totals.get(section, 0) + 1
            ids = [tokenizer.id_of(word) for word in words]
            if None not in ids:
                names.append(section)
                questions.append(ids)
        elif words:
            raise UserError(f"analogies, line {number}: expected four words, found {line.strip()!r}")
    unit = F.normalize(vectors, dim=1)
    correct = []
    for queried in torch.tensor(questions, dtype=torch.int64).view(-1, 4).split(chunk):
        a, b, c, expected = queried.to(vectors.device).unbind(1)
        cosine = (unit[b] - unit[a] + unit[c]) @ unit.T
        cosine[:, : len(SPECIAL)] = -torch.inf
        cosine.scatter_(1, torch.stack([a, b, c], 1), -torch.inf)
        correct += (cosine.argmax(1) == expected).tolist()
    scores = {
        name: AnalogyScore(
            sum(c for c, n in zip(correct, names, strict=True) if n == name), names.count(name), total
        )
        for name, total in totals.items()
    }
    return {**scores, "all": AnalogyScore(sum(correct), len(correct), sum(totals.values()))}


def score_similarity(vectors: Tensor, tokenizer: WordTokenizer, lines: Iterable[str]) -> SimilarityScore:
    """Rank correlation between cosine similarities and human ratings of word pairs.

    `lines` holds two words and a number separated by tabs, as WordSim-353 does; `#` begins a comment. Raises
    `UserError` for any other line. Source: Finkelstein et al. 2001, "Placing search in context".
    """
    pairs, ratings = [], []
    total = 0
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        total += 1
        try:
            first, second, rating = line.split("\t")[:3]
            value = float(rating)
        except ValueError:
            raise UserError(
                f"word similarities, line {number}: expected two words and a number, separated by tabs, "
                f"found {line.strip()!r}"
            ) from None
        ids = [tokenizer.id_of(first), tokenizer.id_of(second)]
        if None not in ids:
            pairs.append(ids)
            ratings.append(value)
    a, b = F.normalize(vectors, dim=1)[torch.tensor(pairs, dtype=torch.int64).view(-1, 2)].unbind(1)
    cosine = (a * b).sum(1).double().cpu().numpy()
    if len(set(cosine.tolist())) < 2 or len(set(ratings)) < 2:
        return SimilarityScore(None, len(pairs), total)
    from scipy.stats import spearmanr

    return SimilarityScore(float(spearmanr(cosine, ratings).statistic), len(pairs), total)


def _id(tokenizer: WordTokenizer, word: str) -> int:
    index = tokenizer.id_of(word)
    if index is not None:
        return index
    parts = tokenizer.split(word)
    if len(parts) != 1:
        raise UsageError(f"{word!r} is not one word: give a single word of letters and digits")
    near = difflib.get_close_matches(parts[0], tokenizer.words[len(SPECIAL) :], n=5, cutoff=ALIKE)
    hint = f"did you mean {', '.join(near)}?" if near else "no word of it has a similar spelling"
    raise UsageError(f"{word!r} is not in the model's vocabulary: {hint}")


@torch.inference_mode()
def _nearest(
    unit: Tensor, tokenizer: WordTokenizer, queried: list[int], weights: list[float], top: int
) -> list[WordScore]:
    """Words by cosine similarity to the weighted sum of the queried ones, which are themselves left out."""
    target = F.normalize(unit.new_tensor(weights) @ unit[queried], dim=0)
    cosine = unit @ target
    cosine[: len(SPECIAL)] = -torch.inf
    cosine[queried] = -torch.inf
    available = int(cosine.isfinite().sum())
    scores, ids = cosine.topk(min(max(top, 0), available))
    return [WordScore(tokenizer.words[i], s) for i, s in zip(ids.tolist(), scores.tolist(), strict=True)]
