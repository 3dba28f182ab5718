"""DINOv2 as `Dinov2Model` and `Dinov2ForImageClassification`, with registers or without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from showtell.errors import UsageError
from showtell.hub.huggingface.families.vit import ATTENTION
from showtell.hub.huggingface.names import align, respell
from showtell.hub.huggingface.rename import Rename, linear, rename
from showtell.hub.huggingface.setting import classes_from, classes_to, expect, sizes_from, sizes_to
from showtell.systems.dinov2 import DINOv2, DINOv2Classifier, DINOv2ClassifierConfig, DINOv2Config

MODEL_TYPES = ("dinov2", "dinov2_with_registers")
SYSTEMS = (DINOv2Classifier, DINOv2)
PROCESSOR = "BitImageProcessor"
ANCHOR = "embeddings.cls_token"
MARK = "encoder.layer.0.layer_scale1.lambda1"
# The reference's own, which its older files leave out.
DEFAULTS: dict[str, Any] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "mlp_ratio": 4,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
    "image_size": 224,
    "patch_size": 14,
    "layerscale_value": 1.0,
    "use_swiglu_ffn": False,
    "use_mask_token": True,
    "num_register_tokens": 0,
}
WITH_REGISTERS = {"patch_size": 16, "num_register_tokens": 4}


def config_from(theirs: Mapping[str, Any], names: set[str]) -> DINOv2Config:
    """Our config. A classifier without class names has two classes, as in the reference."""
    registers = WITH_REGISTERS if theirs["model_type"] == MODEL_TYPES[1] else {}
    theirs = DEFAULTS | registers | dict(theirs)
    expect(theirs, num_channels=3, qkv_bias=True)
    mlp_dim = int(theirs["hidden_size"] * theirs["mlp_ratio"])
    gated = theirs["use_swiglu_ffn"]
    sizes = {
        **sizes_from({**theirs, "intermediate_size": _gated(mlp_dim) if gated else mlp_dim}),
        **({"activation": "swiglu"} if gated else {}),
        "image_size": theirs["image_size"],
        "patch_size": theirs["patch_size"],
        "num_registers": theirs["num_register_tokens"],
        "layer_scale": float(theirs["layerscale_value"]),
        "mask_token": theirs["use_mask_token"],
    }
    if "classifier.weight" not in names:
        return DINOv2Config(**sizes)
    return DINOv2ClassifierConfig(**sizes, **classes_from(theirs))


def config_to(ours: DINOv2Config) -> dict[str, Any]:
    """Their `config.json`. Raises `UsageError` unless the MLP is a whole multiple of the width."""
    gated, registers = ours.activation == "swiglu", ours.num_registers > 0
    described = sizes_to(ours)
    del described["intermediate_size"]
    described |= {"hidden_act": "gelu"} if gated else {}
    described |= {"num_register_tokens": ours.num_registers} if registers else {}
    head = "Model"
    if isinstance(ours, DINOv2ClassifierConfig):
        head = "ForImageClassification"
        described |= classes_to(ours)
    name = "Dinov2WithRegisters" if registers else "Dinov2"
    return {
        **described,
        "model_type": MODEL_TYPES[registers],
        "architectures": [name + head],
        "image_size": ours.image_size,
        "patch_size": ours.patch_size,
        "mlp_ratio": _ratio(ours),
        "use_swiglu_ffn": gated,
        "layerscale_value": ours.layer_scale,
        "use_mask_token": ours.mask_token,
    }


def tidy(found: dict[str, Tensor], theirs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Their tensors without the prefixes of wrappers."""
    return align(respell(found, ATTENTION), ANCHOR, f"{theirs['model_type']}.", ("classifier.",))


def table(ours: DINOv2Config) -> list[Rename]:
    """The rename table of all tensors; their patch embedding is a convolution."""
    heads, size, width = isinstance(ours, DINOv2ClassifierConfig), ours.patch_size, ours.width
    prefix = f"{MODEL_TYPES[ours.num_registers > 0]}." if heads else ""
    embeddings = f"{prefix}embeddings"
    projection = f"{embeddings}.patch_embeddings.projection"
    out = [
        rename("embed.class_token", f"{embeddings}.cls_token", shape=(1, 1, width)),
        rename("embed.positions.table", f"{embeddings}.position_embeddings", shape=(1, -1, width)),
        rename("embed.patches.project.weight", f"{projection}.weight", shape=(width, 3, size, size)),
        rename("embed.patches.project.bias", f"{projection}.bias"),
        *linear("transformer.norm", f"{prefix}layernorm"),
    ]
    if ours.mask_token:
        out.append(rename("embed.mask_token", f"{embeddings}.mask_token", shape=(1, width)))
    if ours.num_registers:
        out.append(rename("embed.registers", f"{embeddings}.register_tokens", shape=(1, -1, width)))
    if heads:
        out += linear("classifier", "classifier")
    mlp = ("weights_in", "weights_out") if ours.activation == "swiglu" else ("fc1", "fc2")
    for i in range(ours.depth):
        block, layer = f"transformer.blocks.{i}", f"{prefix}encoder.layer.{i}"
        qkv = (f"{layer}.attention.attention.{name}" for name in ("query", "key", "value"))
        out += [
            *linear(f"{block}.attention.qkv", *qkv),
            *linear(f"{block}.attention.output", f"{layer}.attention.output.dense"),
            *linear(f"{block}.attention_norm", f"{layer}.norm1"),
            rename(f"{block}.attention_scale.scale", f"{layer}.layer_scale1.lambda1"),
            *linear(f"{block}.mlp.up", f"{layer}.mlp.{mlp[0]}"),
            *linear(f"{block}.mlp.down", f"{layer}.mlp.{mlp[1]}"),
            *linear(f"{block}.mlp_norm", f"{layer}.norm2"),
            rename(f"{block}.mlp_scale.scale", f"{layer}.layer_scale2.lambda1"),
        ]
    return out


def _gated(mlp_dim: int) -> int:
    """Two thirds, rounded up to a multiple of 8: a gated layer has three matrices instead of two."""
    return (int(mlp_dim * 2 / 3) + 7) // 8 * 8


def _ratio(ours: DINOv2Config) -> int:
    for ratio in range(1, ours.mlp_dim // ours.width * 2 + 3):
        mlp_dim = ratio * ours.width
        if ours.mlp_dim == (_gated(mlp_dim) if ours.activation == "swiglu" else mlp_dim):
            return ratio
    raise UsageError(
        f"an MLP of {ours.mlp_dim} is no whole multiple of the width {ours.width}, which the reference needs"
    )
