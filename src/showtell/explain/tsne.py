"""t-SNE: vectors as points of a plane, neighbours kept together."""

from __future__ import annotations

import numpy as np

PERPLEXITY = 30.0


def tsne(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """Points `[N 2]` in the square from 0 to 1, laid out by t-SNE of `vectors [N D]`.

    Vectors are divided by their length, so similarity is that of the cosine. The same vectors and seed give
    the same points. The perplexity, about the number of neighbours that a point keeps, is 30, or a third of
    the points when there are fewer than 90.
    Source: van der Maaten & Hinton 2008, "Visualizing data using t-SNE"; initialised with the principal
    components as Kobak & Berens 2019 advise.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    count = len(vectors)
    if count < 2:
        return np.full((count, 2), 0.5)
    vectors = np.asarray(vectors, dtype=np.float64).reshape(count, -1)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    model = TSNE(
        perplexity=min(PERPLEXITY, (count - 1) / 3),
        init=_principal(vectors, np.random.default_rng(seed)),
    )
    # Threads add in any order, and t-SNE amplifies a difference in the last bit to another map.
    with threadpool_limits(1):
        points = model.fit_transform(vectors.astype(np.float32)).astype(np.float64)
    low, high = points.min(0), points.max(0)
    return ((points - (low + high) / 2) / np.maximum(high - low, 1e-12) + 0.5).clip(0, 1)


def _principal(vectors: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The first two principal components, `float32 [N 2]` with standard deviation 1e-4, plus a little noise.

    The noise separates duplicates, and vectors that are all equal or have a single axis.
    """
    centred = vectors - vectors.mean(0)
    u, s, axes = np.linalg.svd(centred, full_matrices=False)  # of either sign: fixed below
    start = np.zeros((len(vectors), 2))
    spread = (u * s * np.where(axes.sum(1) < 0, -1, 1))[:, :2]
    start[:, : spread.shape[1]] = spread / max(spread[:, 0].std(), 1e-12)
    return (1e-4 * (start + 1e-2 * generator.standard_normal(start.shape))).astype(np.float32)
