"""The preprocessing of images, in and out of `preprocessor_config.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from showtell.data.images.fit import Fit
from showtell.data.images.preprocess import FILTERS, Filter, Preprocessing
from showtell.data.json import read_object
from showtell.errors import UserError
from showtell.hub.huggingface.processors import with_defaults

FILE = "preprocessor_config.json"
FITS = "ViltImageProcessor"
"""The image processor that keeps the aspect ratio and cuts to whole patches."""
FILTER_NAMES = {int(filter): name for name, filter in FILTERS.items()}


@dataclass(frozen=True)
class Preprocessor:
    """The steps from a decoded image to a network's input."""

    version: str
    """Of `data.images.preprocess`: `crop224-v1`."""
    mean: tuple[float, ...]
    """Per channel, of pixels in 0..1; so is `std`."""
    std: tuple[float, ...]


def read_preprocessor(folder: Path, unnamed: str = "") -> Preprocessor:
    """The preprocessing that a model's folder describes; `unnamed` is the processor where it names none.

    Raises `UserError` where it describes none, or one with a setting that is not supported, which is named.
    """
    file, theirs = folder / FILE, None
    if file.is_file():
        theirs = read_object(file)
    elif (file := folder / "processor_config.json").is_file():
        theirs = read_object(file).get("image_processor")
    if not isinstance(theirs, dict):
        raise UserError(
            f"{folder} lacks {FILE}, which describes the preprocessing of images; "
            "copy it from where the weights are from"
        )
    try:
        return _read(with_defaults(theirs, unnamed))
    except KeyError as error:
        raise UserError(f"{file} lacks {error}, and names no image processor with known defaults") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{file} is not supported: {error}") from error


def preprocessor_config(ours: Preprocessor, processor: str) -> dict[str, Any]:
    """`preprocessor_config.json` for an image processor class of `transformers`, every setting written out.

    Raises `ValueError` for an unknown version.
    """
    normalise = {
        "do_convert_rgb": True,
        "do_resize": True,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(ours.mean),
        "image_std": list(ours.std),
    }
    if ours.version.startswith("fit"):
        fit = Fit.of(ours.version)
        return normalise | {
            "image_processor_type": FITS,
            "size": {"shortest_edge": fit.shortest},
            "size_divisor": fit.multiple,
            "resample": int(FILTERS[fit.filter]),
            "do_pad": True,
        }
    prepare = Preprocessing.of(ours.version)
    crops, square = prepare.way == "crop", {"height": prepare.size, "width": prepare.size}
    return normalise | {
        "image_processor_type": processor,
        "size": {"shortest_edge": prepare.shortest} if crops else square,
        "resample": int(FILTERS[prepare.filter]),
        "do_center_crop": crops,
        "crop_size": square,
    }


def _read(theirs: Mapping[str, Any]) -> Preprocessor:
    for name in ("do_resize", "do_rescale"):
        if not theirs.get(name, True):
            raise ValueError(f"{name} is false, only true is supported")
    if abs(theirs.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-6:
        raise ValueError(f"rescale_factor {theirs['rescale_factor']} is not 1/255")
    normal = theirs.get("do_normalize", True)
    mean, std = (
        tuple(float(v) for v in theirs[name]) if normal else (neutral,) * 3
        for name, neutral in (("image_mean", 0.0), ("image_std", 1.0))
    )
    if len(mean) != 3 or len(std) != 3:
        raise ValueError(f"image_mean {mean} and image_std {std} do not have three channels")
    return Preprocessor(_version(theirs), mean, std)


def _version(theirs: Mapping[str, Any]) -> str:
    filter = FILTER_NAMES.get(theirs["resample"])
    if filter is None:
        raise ValueError(f"resample {theirs['resample']} is none of {FILTER_NAMES}")
    crops, size = theirs.get("do_center_crop", False), theirs["size"]
    if (multiple := theirs.get("size_divisor")) is not None:
        shortest = size if isinstance(size, int) else size["shortest_edge"]
        return Fit(int(shortest), int(multiple), filter).version
    if (share := theirs.get("crop_pct")) is not None and not crops:
        return _cropped_share(size["shortest_edge"] if isinstance(size, dict) else size, share, filter)
    if isinstance(size, int):  # the oldest files: the shorter side if images are cropped, else both sides
        size = {"shortest_edge": size} if crops else {"height": size, "width": size}
    if not crops:
        side = _square(size, "size")
        return Preprocessing("squash", side, side, filter).version
    cut = theirs["crop_size"]
    side = cut if isinstance(cut, int) else _square(cut, "crop_size")
    if set(size) != {"shortest_edge"}:
        raise ValueError(f"size {size} has no shortest_edge alone, which cropping needs")
    return Preprocessing("crop", side, int(size["shortest_edge"]), filter).version


def _cropped_share(side: int, share: float, filter: Filter) -> str:
    """ConvNeXt's processor, also ResNet's: crop `share` of the shorter side; from 384 pixels on, squash."""
    if side >= 384:
        return Preprocessing("squash", side, side, filter).version
    return Preprocessing("crop", side, int(side / share), filter).version


def _square(size: Mapping[str, int], name: str) -> int:
    if set(size) != {"height", "width"} or size["height"] != size["width"]:
        raise ValueError(f"{name} {dict(size)} is no square")
    return int(size["height"])
