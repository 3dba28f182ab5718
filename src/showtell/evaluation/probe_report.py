"""What a probe found."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ProbeReport:
    """How well classes are told apart."""

    kind: str
    accuracy: float
    """The share of measured items whose class is found."""
    chance: float
    """The accuracy of always saying the most frequent class."""
    learned: int
    """Items with labels that were learned from."""
    measured: int
    skipped: int
    """Items that could not be read, or hold nothing."""
    classes: dict[str, float]
    """Accuracy of each class."""
    model: str
    pooled: float | None = None
    """Of texts, the accuracy by the vector that the network ends with alone."""
    baseline: float | None = None
    """Of texts, the accuracy that their words alone give, without the model."""


def report(
    kind: str,
    truth: Tensor,
    answers: Tensor,
    names: tuple[str, ...],
    learned: int,
    skipped: int,
    model: str,
    *,
    pooled: Tensor | None = None,
    baseline: Tensor | None = None,
) -> ProbeReport:
    """The figures of answers `int64 [M]`, and of others, to items whose classes are `truth [M]`."""

    def accuracy(answers: Tensor | None) -> float | None:
        return None if answers is None else float((truth == answers).double().mean())

    right = (truth == answers).double()
    counts = truth.bincount(minlength=len(names))
    return ProbeReport(
        kind=kind,
        accuracy=float(right.mean()),
        chance=float(counts.max() / len(truth)),
        learned=learned,
        measured=len(truth),
        skipped=skipped,
        classes={
            name: float(right[truth == label].mean()) for label, name in enumerate(names) if counts[label]
        },
        model=model,
        pooled=accuracy(pooled),
        baseline=accuracy(baseline),
    )
