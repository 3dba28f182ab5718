"""The visual embedders: regions or a pyramid of boxes, grids, and pixels that are sampled in training."""

import pytest
import torch

from showtell.data.batch import ImageBatch
from showtell.fusion.visual.grid import GridEmbedder
from showtell.fusion.visual.regions import LEVELS, RegionEmbedder, place, pyramid, regions


def test_a_pyramid_tiles_the_image_at_every_level():
    boxes = pyramid(LEVELS)
    assert len(boxes) == 1 + 4 + 9 + 16
    areas = place(boxes)[:, 6]
    first = 0
    for level in LEVELS:
        torch.testing.assert_close(areas[first : first + level**2].sum(), torch.tensor(1.0))
        first += level**2
    seven = place(torch.tensor([[[0.1, 0.2, 0.5, 0.8]]]))[0, 0]
    torch.testing.assert_close(seven, torch.tensor([0.1, 0.2, 0.5, 0.8, 0.4, 0.6, 0.24]))


def test_a_grid_is_averaged_over_the_boxes_of_the_pyramid():
    grid = torch.zeros(1, 144, 2)
    grid[0, :, 0] = torch.arange(144) // 12  # the row
    grid[0, :, 1] = torch.arange(144) % 12  # the column
    features, boxes, keep = regions(ImageBatch(features=grid))
    assert keep is None
    assert features.shape[:2] == boxes.shape[:2] == (1, 30)
    middle = (boxes[0, :, :2] + boxes[0, :, 2:]) / 2 * 12 - 0.5
    torch.testing.assert_close(features[0], middle.flip(1))
    with pytest.raises(ValueError, match="143 features are no square grid"):
        regions(ImageBatch(features=grid[:, :143]))


def test_boxes_decide_what_a_region_is():
    torch.manual_seed(0)
    embedder, features = RegionEmbedder(8, 6, 1e-6), torch.randn(2, 3, 6)
    boxes = torch.rand(2, 3, 4)
    one = embedder(ImageBatch(features=features, boxes=boxes), torch.zeros(8)).tokens
    moved = embedder(ImageBatch(features=features, boxes=1 - boxes), torch.zeros(8)).tokens
    assert not torch.allclose(one, moved)


def test_pixels_of_a_grid_are_sampled_in_training_alone():
    torch.manual_seed(0)
    embedder = GridEmbedder(8, backbone="", stem="cifar", feature_width=6, num_sampled=4)
    images = ImageBatch(features=torch.randn(3, 9, 6))
    whole = embedder.eval()(images).tokens
    assert whole.shape == (3, 9, 8)
    some = embedder.train()(images, torch.Generator().manual_seed(0)).tokens
    assert some.shape == (3, 4, 8)
    for row in range(3):
        nearest = torch.cdist(some[row], whole[row])
        assert nearest.min(1).values.max() < 1e-5
        assert (nearest.argmin(1).diff() > 0).all()
