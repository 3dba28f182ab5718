"""t-SNE keeps neighbours together and lays out any number of points."""

import numpy as np
import pytest

from showtell.explain.tsne import tsne


def test_clusters_stay_together():
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((4, 32))
    cluster = np.arange(120) % 4
    points = tsne(centres[cluster] + 0.2 * generator.standard_normal((120, 32)))
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1) + 9 * np.eye(120)
    assert (cluster[distance.argmin(1)] == cluster).mean() > 0.99


def test_the_length_of_vectors_does_not_matter():
    vectors = np.random.default_rng(0).standard_normal((20, 8))
    lengths = np.random.default_rng(1).uniform(1, 9, (20, 1))
    np.testing.assert_array_equal(tsne(vectors), tsne(vectors * 4))
    np.testing.assert_allclose(tsne(vectors), tsne(vectors * lengths), atol=0.05)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 7, 40])
@pytest.mark.parametrize("width", [1, 2, 16])
@pytest.mark.filterwarnings("error")
def test_any_number_of_points_fits_in_the_square(count, width):
    points = tsne(np.random.default_rng(count).standard_normal((count, width)).astype(np.float32))
    assert points.shape == (count, 2)
    assert np.all((points >= 0) & (points <= 1))
    if count > 1:
        np.testing.assert_allclose(points.max(0) - points.min(0), 1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_duplicates_are_laid_side_by_side(value):
    points = tsne(np.full((12, 5), value))
    assert np.isfinite(points).all()
    assert len(np.unique(points.round(4), axis=0)) == 12


def test_the_seed_decides_the_map():
    vectors = np.random.default_rng(0).standard_normal((30, 8))
    first = tsne(vectors, seed=3)
    np.testing.assert_array_equal(first, tsne(vectors, seed=3))
    assert np.abs(first - tsne(vectors, seed=4)).max() > 1e-6
