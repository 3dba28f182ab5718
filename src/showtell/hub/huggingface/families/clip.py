"""CLIP as `CLIPModel`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor

from showtell.hub.huggingface.names import align
from showtell.hub.huggingface.rename import Rename, linear, rename
from showtell.hub.huggingface.setting import expect, sizes_from, sizes_to
from showtell.systems.clip import CLIP, CLIPConfig, TowerConfig

MODEL_TYPES = ("clip",)
SYSTEMS = (CLIP,)
PROCESSOR = "CLIPImageProcessor"
ANCHOR, BASE = "text_model.embeddings.token_embedding.weight", "clip."
MARK = "vision_model.pre_layrnorm.weight"
# The defaults of transformers, whose own config files leave out what equals them.
TOWER: dict[str, Any] = {"num_hidden_layers": 12, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5}
IMAGE = TOWER | {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 32,
}
TEXT = TOWER | {
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_attention_heads": 8,
    "vocab_size": 49408,
    "max_position_embeddings": 77,
}


class ImageConfig(Protocol):
    """The fields of a config that describe the image tower of CLIP, and of BLIP."""

    @property
    def image(self) -> TowerConfig:
        """Its transformer."""

    @property
    def patch_size(self) -> int:
        """Side of a patch in pixels."""


def config_from(theirs: Mapping[str, Any], names: set[str]) -> CLIPConfig:
    """Our config. We pool a text at its last token, the reference at its end token: the same place."""
    image, text = IMAGE | tower(theirs, "vision_config"), TEXT | tower(theirs, "text_config")
    expect(image, num_channels=3)
    return CLIPConfig(
        image=TowerConfig(**sizes_from(image)),
        text=TowerConfig(**sizes_from(text)),
        image_size=image["image_size"],
        patch_size=image["patch_size"],
        vocab_size=text["vocab_size"],
        max_length=text["max_position_embeddings"],
        width=theirs.get("projection_dim", 512),
        temperature=math.exp(-theirs.get("logit_scale_init_value", 2.6592)),
    )


def tower(theirs: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The settings of one tower; older files have them under `..._dict` too, which comes first."""
    return dict(theirs.get(f"{name}_dict") or theirs.get(name) or {})


def config_to(ours: CLIPConfig) -> dict[str, Any]:
    """Their `config.json`, from our config."""
    image = {"model_type": "clip_vision_model", "projection_dim": ours.width, **sizes_to(ours.image)}
    text = {"model_type": "clip_text_model", "projection_dim": ours.width, **sizes_to(ours.text)}
    return {
        "model_type": "clip",
        "architectures": ["CLIPModel"],
        "projection_dim": ours.width,
        "logit_scale_init_value": -math.log(ours.temperature),
        "vision_config": image | {"image_size": ours.image_size, "patch_size": ours.patch_size},
        "text_config": text | {"vocab_size": ours.vocab_size, "max_position_embeddings": ours.max_length},
    }


def tidy(found: dict[str, Tensor], theirs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Their tensors without the position ids that older versions saved."""
    found = align(found, ANCHOR, BASE)
    return {name: tensor for name, tensor in found.items() if not name.endswith(".position_ids")}


def table(ours: CLIPConfig) -> list[Rename]:
    """The rename table of all tensors; their patch embedding is a convolution."""
    return [
        rename("log_logit_scale", "logit_scale"),
        *image_table("image", "vision_model", ours),
        rename("embed.tokens.weight", "text_model.embeddings.token_embedding.weight"),
        rename("embed.positions.weight", "text_model.embeddings.position_embedding.weight"),
        *linear("text.norm", "text_model.final_layer_norm"),
        *blocks("text", "text_model", ours.text.depth),
        rename("project_image.weight", "visual_projection.weight"),
        rename("project_text.weight", "text_projection.weight"),
    ]


def image_table(prefix: str, theirs: str, ours: ImageConfig) -> list[Rename]:
    """The image tower, which LLaVA has too."""
    size, embeddings = ours.patch_size, f"{theirs}.embeddings"
    return [
        rename(f"{prefix}.embed.class_token", f"{embeddings}.class_embedding"),
        rename(f"{prefix}.embed.positions.table", f"{embeddings}.position_embedding.weight"),
        rename(
            f"{prefix}.embed.patches.project.weight",
            f"{embeddings}.patch_embedding.weight",
            shape=(ours.image.width, 3, size, size),
        ),
        *linear(f"{prefix}.norm", f"{theirs}.pre_layrnorm"),
        *linear(f"{prefix}.transformer.norm", f"{theirs}.post_layernorm"),
        *blocks(f"{prefix}.transformer", theirs, ours.image.depth),
    ]


def blocks(ours: str, theirs: str, depth: int) -> list[Rename]:
    """The blocks of one tower, which SigLIP names in the same way."""
    out = []
    for i in range(depth):
        block, layer = f"{ours}.blocks.{i}", f"{theirs}.encoder.layers.{i}"
        qkv = (f"{layer}.self_attn.{name}_proj" for name in "qkv")
        out += [
            *linear(f"{block}.attention.qkv", *qkv),
            *linear(f"{block}.attention.output", f"{layer}.self_attn.out_proj"),
            *linear(f"{block}.attention_norm", f"{layer}.layer_norm1"),
            *linear(f"{block}.mlp.up", f"{layer}.mlp.fc1"),
            *linear(f"{block}.mlp.down", f"{layer}.mlp.fc2"),
            *linear(f"{block}.mlp_norm", f"{layer}.layer_norm2"),
        ]
    return out
