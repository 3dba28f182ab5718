"""Figures of predicted classes and tags, each with its standard error by bootstrap over the examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int

RESAMPLED = 200
"""Bootstrap samples."""


def with_error(
    name: str, counts: Float[np.ndarray, "N K"], figure: Callable[[np.ndarray], np.ndarray]
) -> dict[str, float]:
    """A `figure` of the sum of what each example counts, and its standard error as `name_se`.

    Source: Efron 1979, "Bootstrap methods: another look at the jackknife".
    """
    number = len(counts)
    drawn = np.random.default_rng(0).multinomial(number, np.full(number, 1 / number), RESAMPLED)
    spread = figure(drawn.astype(np.float64) @ counts).std(ddof=1)
    return {name: float(figure(counts.sum(0))), f"{name}_se": float(spread)}


def class_figures(
    truth: Int[np.ndarray, " N"], said: Int[np.ndarray, " N"], classes: int
) -> dict[str, float]:
    """`accuracy`, and `f1`, the mean over the classes that occur of 2 TP / (2 TP + FP + FN).

    >>> found = class_figures(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), 2)
    >>> found["accuracy"], round(found["f1"], 3)
    (0.75, 0.733)
    """
    one = np.eye(classes)
    right = (truth == said)[:, None]
    counts = np.concatenate([one[truth] * right, one[said], one[truth]], 1)
    there = np.isin(np.arange(classes), truth)

    def f1(sums: np.ndarray) -> np.ndarray:
        found, predicted, real = np.split(sums, 3, -1)
        return (2 * found / np.maximum(predicted + real, 1))[..., there].mean(-1)

    accuracy = with_error("accuracy", right.astype(np.float64), lambda sums: sums[..., 0] / len(truth))
    return {**accuracy, **with_error("f1", counts, f1)}


def tag_figures(truth: Sequence[Sequence[str]], said: Sequence[Sequence[str]]) -> dict[str, float]:
    """`accuracy` per token; where tags are those of entities (`B-`, `I-`), the `f1` of whole entities too.

    A token that has no prediction has the tag "". An entity counts if its bounds and its type are right.

    >>> found = tag_figures([["B-a", "I-a", "O"]], [["B-a", "O", "O"]])
    >>> round(found["accuracy"], 3), found["f1"]
    (0.667, 0.0)
    """
    tokens = np.array(
        [
            (sum(a == b for a, b in zip(real, found, strict=True)), len(real))
            for real, found in zip(truth, said, strict=True)
        ],
        np.float64,
    )
    figures = with_error("accuracy", tokens, lambda sums: sums[..., 0] / np.maximum(sums[..., 1], 1))
    if not any(tag.startswith("B-") for tags in truth for tag in tags):
        return figures
    spans = [(entities(real), entities(found)) for real, found in zip(truth, said, strict=True)]
    counts = np.array([(len(a & b), len(a) + len(b)) for a, b in spans], np.float64)
    return {
        **figures,
        **with_error("f1", counts, lambda sums: 2 * sums[..., 0] / np.maximum(sums[..., 1], 1)),
    }


def entities(tags: Sequence[str]) -> set[tuple[int, int, str]]:
    """First and past-the-last token and type of each entity; as `conlleval`, an `I-` may begin one.

    >>> sorted(entities(["B-a", "I-a", "B-a", "O", "I-b"]))
    [(0, 2, 'a'), (2, 3, 'a'), (4, 5, 'b')]
    """
    found: set[tuple[int, int, str]] = set()
    begin, current = 0, ""
    for place, tag in enumerate([*tags, "O"]):
        prefix, _, kind = tag.partition("-")
        if current and not (prefix == "I" and kind == current):
            found.add((begin, place, current))
            current = ""
        if prefix in ("B", "I") and not current:
            begin, current = place, kind
    return found
