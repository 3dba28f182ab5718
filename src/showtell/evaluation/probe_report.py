"""The result of a probe."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ProbeReport:
    """How well a model's vectors classify held-out items."""

    kind: str
    accuracy: float
    """Share of test items classified correctly, 0 to 1."""
    chance: float
    """Accuracy of always answering the most frequent class."""
    trained: int
    """Labelled items in training."""
    tested: int
    skipped: int
    """Items that could not be read, or are empty."""
    classes: dict[str, float]
    """Accuracy per class."""
    model: str
    pooled: float | None = None
    """Of texts: the accuracy by the pooled vector alone."""
    baseline: float | None = None
    """Of texts: the accuracy of a bag of words, without the model."""
    cut: int | None = None
    """Of texts: how many the model did not read to their end."""


def probe_report(
    kind: str,
    truth: Tensor,
    answers: Tensor,
    names: tuple[str, ...],
    trained: int,
    skipped: int,
    model: str,
    *,
    pooled: Tensor | None = None,
    baseline: Tensor | None = None,
    cut: int | None = None,
) -> ProbeReport:
    """The figures of answers `int64 [M]`, and of two other sets of answers, for the classes `truth [M]`."""

    def accuracy(answers: Tensor | None) -> float | None:
        return None if answers is None else float((truth == answers).double().mean())

    right = (truth == answers).double()
    counts = truth.bincount(minlength=len(names))
    return ProbeReport(
        kind=kind,
        accuracy=float(right.mean()),
        chance=float(counts.max() / len(truth)),
        trained=trained,
        tested=len(truth),
        skipped=skipped,
        classes={
            name: float(right[truth == label].mean()) for label, name in enumerate(names) if counts[label]
        },
        model=model,
        pooled=accuracy(pooled),
        baseline=accuracy(baseline),
        cut=cut,
    )
