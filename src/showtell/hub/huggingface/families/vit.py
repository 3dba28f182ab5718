"""ViT under the names of `ViTForImageClassification`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from showtell.errors import UsageError
from showtell.hub.huggingface.rename import Rename, linear, rename
from showtell.hub.huggingface.setting import classes_from, classes_to, expect, sizes_from, sizes_to
from showtell.systems.vit import ViT, ViTConfig

MODEL_TYPES = ("vit",)
SYSTEMS = (ViT,)


def config_from(theirs: Mapping[str, Any], names: set[str]) -> ViTConfig:
    """Our configuration. Without names for its classes, a model has the two that the reference assumes."""
    expect(theirs, num_channels=3, qkv_bias=True)
    return ViTConfig(
        image_size=theirs["image_size"],
        patch_size=theirs["patch_size"],
        **classes_from(theirs),
        **sizes_from(theirs),
    )


def config_to(ours: ViTConfig) -> dict[str, Any]:
    """Their `config.json`."""
    if ours.positions != "learned":
        raise UsageError(f"the reference has no ViT with positions {ours.positions!r}, only 'learned'")
    return {
        "model_type": "vit",
        "architectures": ["ViTForImageClassification"],
        "image_size": ours.image_size,
        "patch_size": ours.patch_size,
        **classes_to(ours),
        "hidden_dropout_prob": ours.dropout,
        **sizes_to(ours),
    }


def tidy(found: dict[str, Tensor], theirs: Mapping[str, Any]) -> dict[str, Tensor]:
    """As they are."""
    return found


def table(ours: ViTConfig) -> list[Rename]:
    """Every tensor; their patches are a convolution's."""
    embeddings, size, width = "vit.embeddings", ours.patch_size, ours.width
    projection = f"{embeddings}.patch_embeddings.projection"
    out = [
        rename("embed.class_token", f"{embeddings}.cls_token", shape=(1, 1, width)),
        rename("embed.positions.table", f"{embeddings}.position_embeddings", shape=(1, -1, width)),
        rename("embed.patches.project.weight", f"{projection}.weight", shape=(width, 3, size, size)),
        rename("embed.patches.project.bias", f"{projection}.bias"),
        *linear("transformer.norm", "vit.layernorm"),
        *linear("classifier", "classifier"),
    ]
    for i in range(ours.depth):
        block, layer = f"transformer.blocks.{i}", f"vit.encoder.layer.{i}"
        qkv = (f"{layer}.attention.attention.{name}" for name in ("query", "key", "value"))
        out += [
            *linear(f"{block}.attention.qkv", *qkv),
            *linear(f"{block}.attention.output", f"{layer}.attention.output.dense"),
            *linear(f"{block}.attention_norm", f"{layer}.layernorm_before"),
            *linear(f"{block}.mlp.widen", f"{layer}.intermediate.dense"),
            *linear(f"{block}.mlp.narrow", f"{layer}.output.dense"),
            *linear(f"{block}.mlp_norm", f"{layer}.layernorm_after"),
        ]
    return out
