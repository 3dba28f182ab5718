"""Facts about a machine, for a bug report."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from importlib.util import find_spec
from typing import Any

from showtell.device import processor
from showtell.errors import UserError
from showtell.version import __version__


def env() -> dict[str, Any]:
    """Versions, processor, devices, the shipped model, and which packages of weights are here."""
    import torch

    from showtell.hub.catalogue import all_packages
    from showtell.nn.bfloat16 import has_fast_bfloat16

    return {
        "showtell": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "linear": _linear(torch.get_num_threads()),
        "fast_bfloat16": has_fast_bfloat16("cpu"),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "model": _model(),
        "packages": _packages(),
        "weights": {package.name: package.installed for package in all_packages()},
        # A torchvision built for another torch breaks libraries that find it.
        "torchvision": find_spec("torchvision") is not None,
    }


def _linear(threads: int) -> dict[str, str]:
    """Which library computes each product of a linear layer in float32, and how fast both do."""
    from showtell.nn.fastest import PRODUCTS, by_onednn, has_onednn, rates

    if not has_onednn():
        return dict.fromkeys(PRODUCTS, "torch")
    chosen, measured = by_onednn(), rates(threads)
    said = {}
    for name, rate in measured.items():
        first, second = ("onednn", "torch") if name in chosen else ("torch", "onednn")
        said[name] = f"{first}, {rate[first]:.0f} GFLOP/s per core ({second} {rate[second]:.0f})"
    return said


def _packages() -> dict[str, str | None]:
    """The version of each required package, extras left out; None for one that is not installed."""
    try:
        required = metadata.requires("showtell") or []
    except metadata.PackageNotFoundError:  # run from a source folder
        required = []
    names = [re.match(r"[\w.-]+", line) for line in required if "extra ==" not in line]
    return {name[0]: _version(name[0]) for name in names if name}


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
