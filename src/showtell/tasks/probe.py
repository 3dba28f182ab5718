"""Probes of frozen features: k nearest neighbours, a linear layer; and a bag-of-words baseline for texts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from showtell.errors import UsageError

CHUNK = 1024
PENALTY = 1e-3


def knn(
    features: Tensor, labels: Tensor, queries: Tensor, neighbours: int = 200, temperature: float = 0.07
) -> Tensor:
    """The class of each query, `[M]`, by a weighted vote of its nearest neighbours by cosine similarity.

    A vote weighs `exp(cos / temperature)`. `features [N D]`, `labels int64 [N]` from 0, `queries [M D]`; with
    fewer features than `neighbours` all vote.

    Source: Wu et al. 2018, "Unsupervised feature learning via non-parametric instance discrimination",
    section 3.4.

    >>> features = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> knn(features, torch.tensor([3, 5]), torch.tensor([[9.0, 1.0], [-1.0, 1.0]]), neighbours=1).tolist()
    [3, 5]
    """
    features, count = F.normalize(features, dim=1), int(labels.max()) + 1
    answers = []
    for chunk in F.normalize(queries, dim=1).split(CHUNK):
        similarity, nearest = (chunk @ features.T).topk(min(neighbours, len(features)), dim=1)
        votes = torch.zeros(len(chunk), count, dtype=similarity.dtype, device=similarity.device)
        votes.scatter_add_(1, labels[nearest], (similarity / temperature).exp())
        answers.append(votes.argmax(1))
    return torch.cat(answers)


def linear_probe(
    features: Tensor, labels: Tensor, queries: Tensor, penalty: float = PENALTY, max_iterations: int = 1000
) -> Tensor:
    """The class of each query, `[M]`, by multinomial logistic regression on standardised features.

    `features [N D]`, `labels int64 [N]`, `queries [M D]`. It minimises the mean cross-entropy plus
    `penalty / 2 |W|^2`, by L-BFGS.

    Raises `UsageError` when there are fewer than two classes.
    """
    if len(labels.unique()) < 2:
        raise UsageError("a linear probe needs items of at least two classes; choose data with more")
    from sklearn.linear_model import LogisticRegression

    mean, std = features.mean(0), features.std(0).clamp(min=1e-6)
    known, queried = (((x - mean) / std).cpu().numpy() for x in (features, queries))
    # scikit-learn sums the cross-entropy where we take its mean.
    probe = LogisticRegression(C=1 / (penalty * len(known)), max_iter=max_iterations)
    probe.fit(known, labels.cpu().numpy())
    return torch.from_numpy(probe.predict(queried)).to(labels.device)


def choose_penalty(features: Tensor, labels: Tensor, most: int = 10_000) -> float:
    """The `penalty` of `linear_probe` with the best accuracy on a fifth of the items, fitted to the others.

    With more items than `most`, a random sample decides. With a class of fewer than ten items there is too
    little to hold out: then the default.
    """
    items = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))[:most]
    features, labels = features[items], labels[items]
    if labels.unique(return_counts=True)[1].min() < 10:
        return PENALTY
    held_out = torch.arange(len(labels)) % 5 == 0

    def accuracy(penalty: float) -> float:
        answers = linear_probe(features[~held_out], labels[~held_out], features[held_out], penalty)
        return (answers == labels[held_out]).double().mean().item()

    return max((PENALTY, 1e-2, 1e-1), key=accuracy)


def few_labels(labels: Tensor, per_class: int, seed: int = 0, names: Sequence[str] | None = None) -> Tensor:
    """Indices of `per_class` items of each class, drawn without replacement, in rising order.

    Raises `UsageError` that names a class with fewer, by its name where `names` are given.
    """
    generator, kept = torch.Generator().manual_seed(seed), []
    for label in labels.unique().tolist():
        members = (labels == label).nonzero()[:, 0]
        if len(members) < per_class:
            name = names[label] if names else label
            raise UsageError(
                f"class {name} has {len(members)} items, fewer than labels_per_class={per_class}"
            )
        order = torch.randperm(len(members), generator=generator)[:per_class]
        kept.append(members[order.to(members.device)])
    return torch.cat(kept).sort().values


def bag_of_words(texts: Sequence[str], labels: Tensor, queries: Sequence[str]) -> Tensor:
    """The class of each query, `[M]`, by logistic regression on the tf-idf of its words, which ignores order.

    Punctuation marks count as words. `labels int64 [N]` are those of `texts`.

    >>> bag_of_words(["so good", "so bad"], torch.tensor([1, 0]), ["bad, bad!", "a good one"]).tolist()
    [0, 1]
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    counts = TfidfVectorizer(token_pattern=r"\w+|[^\w\s]")
    probe = LogisticRegression(max_iter=1000)
    probe.fit(counts.fit_transform(texts), labels.numpy())
    return torch.from_numpy(probe.predict(counts.transform(queries)))
