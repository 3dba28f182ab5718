"""Every system, found in `showtell.systems` and built tiny; one batch that all of them can read."""

from __future__ import annotations

import dataclasses
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest
import torch
from torch import nn

from showtell import systems
from showtell.data.batch import Batch, ImageBatch, Targets, TextBatch, pad

START, END = 2, 3
SIZES: dict[str, Any] = {
    "vocab_size": 23,
    "max_length": 9,
    "image_size": 16,
    "patch_size": 4,
    "depth": 2,
    "decoder_depth": 2,
    "num_heads": 2,
    "num_kv_heads": 1,
    "mlp_dim": 20,
    "num_classes": 5,
    "depths": (1, 1),
    "widths": (8, 12),
    "stem": "cifar",
    "stem_width": 8,
    "num_queries": 3,
    "mask_id": 4,
    "special": (0, 1, 2, 3, 4),
    "mask_rate": 0.5,
    "start_id": 2,
    "decode_id": 21,
    "encode_id": 22,
    "queue_size": 6,
    "fusion_depth": 1,
    "image_depth": 1,
    "cross_depth": 2,
    "distillation": 0.1,  # an untrained teacher has nothing to say
    "train_language": True,  # a random one can be told nothing
    "mask_token": False,  # a parameter that a classifier carries and never trains
}
BOXES = torch.tensor([[0, 0, 1, 1], [0, 0, 0.5, 1], [0.5, 0, 1, 1], [0, 0, 1, 0.5], [0, 0.5, 1, 1.0]])
"""Left, top, right and bottom of the five features of every image."""
WIDTH = 12
"""Of every field whose name ends in `width`."""


def found() -> dict[str, type]:
    """The systems by name: the classes in modules of `showtell.systems` that have a `Config`."""
    classes: dict[str, type] = {}
    for module in iter_modules(systems.__path__):
        for name, value in vars(import_module(f"{systems.__name__}.{module.name}")).items():
            if isinstance(value, type) and issubclass(value, nn.Module) and "Config" in vars(value):
                classes[name] = value
    return classes


def tiny(config: Any) -> Any:
    """A config with small sizes and without dropout."""
    changes: dict[str, Any] = {}
    for name, value in ((f.name, getattr(config, f.name)) for f in dataclasses.fields(config)):
        if dataclasses.is_dataclass(value):
            changes[name] = tiny(value)
            if name == "language":  # it reads images too
                changes[name] = dataclasses.replace(changes[name], max_length=40)
        elif name in SIZES:
            changes[name] = SIZES[name]
        elif name == "feature_width" and not value:
            pass  # it reads pixels
        elif name.endswith("width"):
            changes[name] = WIDTH
        elif "dropout" in name:
            changes[name] = 0.0
        elif name == "backbone":
            changes[name] = f"{value.rstrip('0123456789').partition('_')[0]}_mini"
    return dataclasses.replace(config, **changes)


def build(cls: Any, **changes: Any) -> Any:
    """A tiny system in training mode, away from its start: attention is not uniform, nor a branch zero."""
    torch.manual_seed(0)
    system = dataclasses.replace(tiny(cls.Config()), **changes).build()
    with torch.no_grad():
        for parameter in system.parameters():
            if parameter.ndim:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return system


def keeping(*protocols: type) -> pytest.MarkDecorator:
    """Run a test with every system that keeps all of the protocols."""
    kept = [name for name, system in examples().items() if all(isinstance(system, p) for p in protocols)]
    return pytest.mark.parametrize("name", kept)


@cache
def examples() -> dict[str, Any]:
    """One of each system, to see what it can do."""
    return {name: build(cls) for name, cls in found().items()}


def batch(dtype: torch.dtype = torch.float32) -> Batch:
    """Four images and five texts, the last two of one image."""
    generator = torch.Generator().manual_seed(1)
    rows = [[5, 6, 7], [8, 9], [10, 11, 12, 13, 14], [15], [16, 5, 17]]
    ids, keep = pad([[START, *row, END] for row in rows])
    return Batch(
        ImageBatch(
            pixels=torch.randint(256, (4, 3, 16, 16), generator=generator, dtype=torch.uint8),
            features=torch.randn(4, 5, WIDTH, generator=generator).to(dtype),
            boxes=BOXES.expand(4, 5, 4),
            views=torch.rand(2, 4, 3, 16, 16, generator=generator),
            originals=torch.randint(256, (4, 3, 16, 16), generator=generator, dtype=torch.uint8),
        ),
        TextBatch(
            ids,
            keep,
            owner=torch.tensor([0, 1, 2, 3, 3]),
            segments=(torch.arange(ids.shape[1]) > 2).long().expand_as(ids).contiguous(),
        ),
        Targets(
            labels=torch.tensor([0, 3, 1, 4]),
            classes=torch.tensor([2, 0, 3, 1, 4]),
            scores=torch.eye(5)[[2, 0, 3, 1, 4]],
            follows=torch.tensor([True, False, True, True, False]),
            tags=torch.where(keep, ids % 5, -1),
            spans=torch.tensor([[1, 2], [0, 0], [3, 5], [1, 1], [2, 3]]),
        ),
    )


def seeded(seed: int = 6) -> torch.Generator:
    """A generator for a forward pass."""
    return torch.Generator().manual_seed(seed)
