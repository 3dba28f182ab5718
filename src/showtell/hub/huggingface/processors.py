"""What the reference's image processors do where their files say nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from PIL import Image

BILINEAR, BICUBIC = int(Image.Resampling.BILINEAR), int(Image.Resampling.BICUBIC)
HALF = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
SQUARE = {"size": {"height": 224, "width": 224}, **HALF}
CROPPED = {
    "size": {"shortest_edge": 224},
    "resample": BICUBIC,
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
DEFAULTS: dict[str, dict[str, Any]] = {
    "CLIP": CROPPED,
    "Bit": CROPPED,
    "ViT": {"resample": BILINEAR, **SQUARE},
    "Siglip": {"resample": BICUBIC, **SQUARE},
    "Blip": {"resample": BICUBIC, **CROPPED, "size": {"height": 384, "width": 384}, "do_center_crop": False},
    "Vilt": {"size": {"shortest_edge": 384}, "size_divisor": 32, "resample": BICUBIC, **HALF},
    "ConvNext": {"size": {"shortest_edge": 384}, "resample": BICUBIC, "crop_pct": 0.875, **HALF},
}
"""The settings of a new processor of the reference, which its older files leave out."""


def with_defaults(theirs: Mapping[str, Any], unnamed: str) -> dict[str, Any]:
    """All settings of a `preprocessor_config.json`; `unnamed` is the processor of one that names none.

    A processor that is not known has no defaults.
    """
    name = str(theirs.get("image_processor_type") or theirs.get("feature_extractor_type") or unnamed)
    kind = re.sub(r"(ImageProcessor|FeatureExtractor)(Fast|Pil)?$", "", name)
    return DEFAULTS.get(kind, {}) | dict(theirs)
