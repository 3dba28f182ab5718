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
    baseline: Tensor | None = None,
) -> ProbeReport:
    """The figures of answers `int64 [M]`, and of a baseline's, to items whose classes are `truth [M]`."""
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
        baseline=None if baseline is None else float((truth == baseline).double().mean()),
    )
