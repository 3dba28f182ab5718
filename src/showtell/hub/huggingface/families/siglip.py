"""SigLIP as `SiglipModel`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from showtell.hub.huggingface.families.clip import blocks, tower
from showtell.hub.huggingface.names import align
from showtell.hub.huggingface.rename import Rename, linear, rename
from showtell.hub.huggingface.setting import expect, sizes_from, sizes_to
from showtell.systems.clip import TowerConfig
from showtell.systems.siglip import SigLIP, SigLIPConfig

MODEL_TYPES = ("siglip",)
SYSTEMS = (SigLIP,)
PROCESSOR = "SiglipImageProcessor"
ANCHOR, BASE = "text_model.embeddings.token_embedding.weight", "siglip."
MARK = "vision_model.head.probe"
# The defaults of transformers; the config of the released ViT-B/16 states no sizes at all.
TOWER: dict[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
}
IMAGE = TOWER | {"image_size": 224, "patch_size": 16}
TEXT = TOWER | {"vocab_size": 32000, "max_position_embeddings": 64, "pad_token_id": 1}


def config_from(theirs: Mapping[str, Any], names: set[str]) -> SigLIPConfig:
    """Our config; theirs does not record the initial scale and bias."""
    image, text = IMAGE | tower(theirs, "vision_config"), TEXT | tower(theirs, "text_config")
    expect(image, num_channels=3, vision_use_head=True)
    expect(text, projection_size=image["hidden_size"])
    return SigLIPConfig(
        image=TowerConfig(**sizes_from(image)),
        text=TowerConfig(**sizes_from(text)),
        image_size=image["image_size"],
        patch_size=image["patch_size"],
        vocab_size=text["vocab_size"],
        max_length=text["max_position_embeddings"],
        pad_id=text["pad_token_id"],
    )


def config_to(ours: SigLIPConfig) -> dict[str, Any]:
    """Their `config.json`, from our config."""
    image = {"model_type": "siglip_vision_model", **sizes_to(ours.image)}
    text = {"model_type": "siglip_text_model", "projection_size": ours.image.width, **sizes_to(ours.text)}
    return {
        "model_type": "siglip",
        "architectures": ["SiglipModel"],
        "vision_config": image | {"image_size": ours.image_size, "patch_size": ours.patch_size},
        "text_config": text
        | {
            "vocab_size": ours.vocab_size,
            "max_position_embeddings": ours.max_length,
            "pad_token_id": ours.pad_id,
        },
    }


def tidy(found: dict[str, Tensor], theirs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Their tensors without the position ids that older versions saved."""
    found = align(found, ANCHOR, BASE)
    return {name: tensor for name, tensor in found.items() if not name.endswith(".position_ids")}


def table(ours: SigLIPConfig) -> list[Rename]:
    """The rename table of all tensors; their patch embedding is a convolution."""
    size, width, vision = ours.patch_size, ours.image.width, "vision_model.embeddings"
    head = "vision_model.head"
    return [
        rename("log_logit_scale", "logit_scale", shape=(1,)),
        rename("bias", "logit_bias", shape=(1,)),
        rename("embed_patches.positions.table", f"{vision}.position_embedding.weight"),
        rename(
            "embed_patches.patches.project.weight",
            f"{vision}.patch_embedding.weight",
            shape=(width, 3, size, size),
        ),
        rename("embed_patches.patches.project.bias", f"{vision}.patch_embedding.bias"),
        *linear("image.norm", "vision_model.post_layernorm"),
        *blocks("image", "vision_model", ours.image.depth),
        rename("pool.probe", f"{head}.probe", shape=(1, 1, width)),
        rename("pool.attention.qkv.weight", f"{head}.attention.in_proj_weight"),
        rename("pool.attention.qkv.bias", f"{head}.attention.in_proj_bias"),
        *linear("pool.attention.output", f"{head}.attention.out_proj"),
        *linear("pool.norm", f"{head}.layernorm"),
        *linear("pool.mlp.up", f"{head}.mlp.fc1"),
        *linear("pool.mlp.down", f"{head}.mlp.fc2"),
        rename("embed.tokens.weight", "text_model.embeddings.token_embedding.weight"),
        rename("embed.positions.weight", "text_model.embeddings.position_embedding.weight"),
        *linear("text.norm", "text_model.final_layer_norm"),
        *blocks("text", "text_model", ours.text.depth),
        *linear("project_text", "text_model.head"),
    ]
