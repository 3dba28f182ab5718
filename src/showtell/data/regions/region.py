"""The regions of an image that an object detector found: boxes in 0..1, each with a feature vector."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
import torch

from showtell.data.batch import ImageBatch
from showtell.data.images.files import is_image_name

CORNERS = 4
"""Numbers of a box: left, top, right, bottom. They stand before the features."""
SLACK = 0.005
"""By how much of its side a box in 0..1 may leave the image; one in pixels by one pixel. It is then cut."""
_DATA_SET = re.compile(r"(?:coco_(?:train|val|test)\d{4}|flickr30k|nlvr2|gqa|vg)_(?=.)", re.IGNORECASE)


def image_key(name: str) -> str:
    """What the name of an image's file and its id in a region file have in common.

    >>> image_key("train2014/COCO_train2014_000000000009.jpg"), image_key("nlvr2_dev-8-0-img1")
    ('9', 'dev-8-0-img1')
    """
    last = PurePosixPath(name).name
    stem = last.rpartition(".")[0] if is_image_name(last) else last
    stem = _DATA_SET.sub("", stem, count=1)
    return str(int(stem)) if stem.isascii() and stem.isdigit() else stem


def packed(features: np.ndarray, boxes: np.ndarray, size: tuple[float, float] | None = None) -> np.ndarray:
    """Boxes and features side by side, `float32 [N 4+F]`.

    `boxes` are in pixels of an image of `size`, its width and height, or without it in 0..1.

    Raises `ValueError` for boxes that leave the image or end before they begin, and for other shapes.
    """
    features, boxes = np.asarray(features, np.float32), np.asarray(boxes, np.float64)
    if features.ndim != 2 or boxes.ndim != 2 or boxes.shape[1] < CORNERS or not len(features):
        raise ValueError(f"has features {list(features.shape)} with boxes {list(boxes.shape)}")
    if len(features) != len(boxes):
        raise ValueError(f"has {len(features)} features and {len(boxes)} boxes")
    boxes, slack = boxes[:, :CORNERS], np.full(CORNERS, SLACK)
    if size is not None:
        if not min(size) > 0:
            raise ValueError(f"says that its image has {size[0]:g} x {size[1]:g} pixels")
        sides = np.array([*size, *size], np.float64)
        boxes, slack = boxes / sides, 1 / sides
    if not (np.isfinite(features).all() and np.isfinite(boxes).all()):
        raise ValueError("has numbers that are not finite")
    outside = ((boxes < -slack) | (boxes > 1 + slack)).any(1)
    if outside.any():
        box = " ".join(f"{number:.3f}" for number in boxes[outside.argmax()])
        raise ValueError(f"has {outside.sum()} of {len(boxes)} boxes that leave the image, the first: {box}")
    reversed_ = (boxes[:, :2] > boxes[:, 2:]).any(1)
    if reversed_.any():
        raise ValueError(
            f"has {reversed_.sum()} of {len(boxes)} boxes that end before they begin: they are to be left, "
            "top, right, bottom"
        )
    return np.concatenate([boxes.clip(0, 1).astype(np.float32), features], 1)


def region_batch(images: Sequence[np.ndarray]) -> ImageBatch:
    """Images' regions, `float32 [N 4+F]` each; those with fewer are padded.

    >>> region_batch([np.zeros((3, 6), np.float32), np.zeros((1, 6), np.float32)]).keep.tolist()
    [[True, True, True], [True, False, False]]
    """
    counts = torch.tensor([len(image) for image in images])
    longest = int(counts.max())
    both = np.zeros((len(images), longest, images[0].shape[1]), np.float32)
    for place, image in enumerate(images):
        both[place, : len(image)] = image
    boxes, features = torch.from_numpy(both).split([CORNERS, both.shape[2] - CORNERS], 2)
    keep = torch.arange(longest) < counts[:, None]
    return ImageBatch(
        features=features.contiguous(), boxes=boxes.contiguous(), keep=None if keep.all() else keep
    )
