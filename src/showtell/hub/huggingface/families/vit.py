"""ViT as `ViTForImageClassification`, its encoder alone as `ViTModel`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from showtell.errors import UsageError
from showtell.hub.huggingface.names import align, respell
from showtell.hub.huggingface.rename import Rename, linear, rename
from showtell.hub.huggingface.setting import classes_from, classes_to, expect, sizes_from, sizes_to
from showtell.systems.vit import ViT, ViTConfig, ViTEncoder, ViTEncoderConfig

MODEL_TYPES = ("vit",)
SYSTEMS = (ViT, ViTEncoder)
PROCESSOR = "ViTImageProcessor"
ANCHOR, BASE = "embeddings.cls_token", "vit."
MARK = "encoder.layer.0.layernorm_before.weight"
ATTENTION = {
    r"\.attention\.q_proj\.": ".attention.attention.query.",
    r"\.attention\.k_proj\.": ".attention.attention.key.",
    r"\.attention\.v_proj\.": ".attention.attention.value.",
    r"\.attention\.o_proj\.": ".attention.output.dense.",
}
NEWER = ATTENTION | {
    r"\blayers\.(\d+)\.": r"encoder.layer.\1.",
    r"\.mlp\.fc1\.": ".intermediate.dense.",
    r"\.mlp\.fc2\.": ".output.dense.",
}
# The reference's own, which its older files leave out.
DEFAULTS: dict[str, Any] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "image_size": 224,
    "patch_size": 16,
}


def config_from(theirs: Mapping[str, Any], names: set[str]) -> ViTEncoderConfig:
    """Our config. A classifier without class names has two classes, as in the reference."""
    theirs = DEFAULTS | dict(theirs)
    expect(theirs, num_channels=3, qkv_bias=True, pooler_act="tanh")
    sizes = {"image_size": theirs["image_size"], "patch_size": theirs["patch_size"], **sizes_from(theirs)}
    if "classifier.weight" in names:
        return ViTConfig(**sizes, **classes_from(theirs))
    return ViTEncoderConfig(**sizes, pooler="pooler.dense.weight" in names)


def config_to(ours: ViTEncoderConfig) -> dict[str, Any]:
    """Their `config.json`, from our config."""
    if ours.positions != "learned":
        raise UsageError(f"ViT of transformers has 'learned' positions, not {ours.positions!r}")
    classifies = isinstance(ours, ViTConfig)
    if classifies and ours.pooler:
        raise UsageError("ViT of transformers has no pooler below its classifier")
    return {
        "model_type": "vit",
        "architectures": ["ViTForImageClassification" if classifies else "ViTModel"],
        "image_size": ours.image_size,
        "patch_size": ours.patch_size,
        **(classes_to(ours) if classifies else {}),
        "hidden_dropout_prob": ours.dropout,
        **sizes_to(ours),
    }


def tidy(found: dict[str, Tensor], theirs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Their tensors without the prefixes of wrappers, and without those that only pretraining reads."""
    found = align(respell(found, NEWER), ANCHOR, BASE, ("classifier.",))
    unread = ("vit.pooler.", "vit.embeddings.mask_token", "embeddings.mask_token")
    return {name: tensor for name, tensor in found.items() if not name.startswith(unread)}


def table(ours: ViTEncoderConfig) -> list[Rename]:
    """The rename table of all tensors; their patch embedding is a convolution."""
    prefix, size, width = "vit." if isinstance(ours, ViTConfig) else "", ours.patch_size, ours.width
    embeddings = f"{prefix}embeddings"
    projection = f"{embeddings}.patch_embeddings.projection"
    out = [
        rename("embed.class_token", f"{embeddings}.cls_token", shape=(1, 1, width)),
        rename("embed.positions.table", f"{embeddings}.position_embeddings", shape=(1, -1, width)),
        rename("embed.patches.project.weight", f"{projection}.weight", shape=(width, 3, size, size)),
        rename("embed.patches.project.bias", f"{projection}.bias"),
        *linear("transformer.norm", f"{prefix}layernorm"),
    ]
    if isinstance(ours, ViTConfig):
        out += linear("classifier", "classifier")
    if ours.pooler:
        out += linear("pooler.project", f"{prefix}pooler.dense")
    for i in range(ours.depth):
        block, layer = f"transformer.blocks.{i}", f"{prefix}encoder.layer.{i}"
        qkv = (f"{layer}.attention.attention.{name}" for name in ("query", "key", "value"))
        out += [
            *linear(f"{block}.attention.qkv", *qkv),
            *linear(f"{block}.attention.output", f"{layer}.attention.output.dense"),
            *linear(f"{block}.attention_norm", f"{layer}.layernorm_before"),
            *linear(f"{block}.mlp.up", f"{layer}.intermediate.dense"),
            *linear(f"{block}.mlp.down", f"{layer}.output.dense"),
            *linear(f"{block}.mlp_norm", f"{layer}.layernorm_after"),
        ]
    return out
