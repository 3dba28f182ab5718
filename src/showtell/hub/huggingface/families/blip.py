"""BLIP as `BlipForConditionalGeneration`, `BlipForImageTextRetrieval` and `BlipForQuestionAnswering`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from showtell.errors import UsageError
from showtell.hub.huggingface.families.clip import ImageConfig
from showtell.hub.huggingface.names import untie
from showtell.hub.huggingface.rename import Rename, linear, rename
from showtell.hub.huggingface.setting import expect, sizes_from, sizes_to
from showtell.systems.blip_finetuned import (
    BLIPAnswerer,
    BLIPAnswererConfig,
    BLIPCaptioner,
    BLIPCaptionerConfig,
    BLIPRetriever,
    BLIPRetrieverConfig,
)
from showtell.systems.blip_parts import BLIPPartsConfig
from showtell.systems.clip import TowerConfig

MODEL_TYPES = ("blip",)
SYSTEMS = (BLIPCaptioner, BLIPRetriever, BLIPAnswerer)
PROCESSOR = "BlipImageProcessor"
MARK = "crossattention.self.query.weight"
START = 101
"""[CLS] of BERT's vocabulary, which the files do not name."""
# The reference's own, which its files leave out.
IMAGE: dict[str, Any] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
    "image_size": 384,
    "patch_size": 16,
}
TEXT: dict[str, Any] = {
    "vocab_size": 30524,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "bos_token_id": 30522,
    "sep_token_id": 102,
}
HEAD = "text_decoder.cls.predictions"
TIED = {
    f"{HEAD}.decoder.weight": "text_decoder.bert.embeddings.word_embeddings.weight",
    f"{HEAD}.decoder.bias": f"{HEAD}.bias",
}


def config_from(theirs: Mapping[str, Any], names: set[str]) -> BLIPPartsConfig:
    """Our config. Where a text meets an image, the reference reads it after [CLS], not after [Encode]."""
    image, text = IMAGE | dict(theirs["vision_config"]), TEXT | dict(theirs["text_config"])
    expect(text, encoder_hidden_size=image["hidden_size"])
    sizes = {
        "image": TowerConfig(**sizes_from(image)),
        "image_size": image["image_size"],
        "patch_size": image["patch_size"],
        "vocab_size": text["vocab_size"],
        "max_length": text["max_position_embeddings"],
        "start_id": START,
        "decode_id": text["bos_token_id"],
        "encode_id": START,
        "end_id": text["sep_token_id"],
        **sizes_from(text),
    }
    if "itm_head.weight" in names:
        return BLIPRetrieverConfig(**sizes, shared_width=theirs.get("image_text_hidden_size", 256))
    kind = (
        BLIPAnswererConfig if any(name.startswith("text_encoder.") for name in names) else BLIPCaptionerConfig
    )
    return kind(**sizes, smoothing=theirs.get("label_smoothing", 0.0))


def config_to(ours: BLIPPartsConfig) -> dict[str, Any]:
    """Their `config.json`, from our config."""
    if ours.feature_width:
        raise UsageError("BLIP of transformers reads pixels, and this one the features of a frozen encoder")
    if not isinstance(ours, BLIPCaptionerConfig) and ours.encode_id != ours.start_id:
        raise UsageError(
            "BLIP of transformers knows no [Encode] token: only its own checkpoints can be exported"
        )
    text = {
        "model_type": "blip_text_model",
        "vocab_size": ours.vocab_size,
        "max_position_embeddings": ours.max_length,
        "encoder_hidden_size": ours.image.width,
        "bos_token_id": ours.decode_id,
        "sep_token_id": ours.end_id,
        "hidden_dropout_prob": ours.dropout,
        **sizes_to(ours),
    }
    image = {
        "model_type": "blip_vision_model",
        "image_size": ours.image_size,
        "patch_size": ours.patch_size,
        **sizes_to(ours.image),
    }
    out: dict[str, Any] = {"model_type": "blip", "text_config": text, "vision_config": image}
    if isinstance(ours, BLIPRetrieverConfig):
        named = {"image_text_hidden_size": ours.shared_width}
        return out | named | {"architectures": ["BlipForImageTextRetrieval"]}
    answers = isinstance(ours, BLIPAnswererConfig)
    return out | {
        "architectures": ["BlipForQuestionAnswering" if answers else "BlipForConditionalGeneration"],
        "label_smoothing": getattr(ours, "smoothing", 0.0),
    }


def tidy(found: dict[str, Tensor], theirs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Their tensors without those that are tied, and without position ids."""
    found = untie(found, TIED) if f"{HEAD}.bias" in found else found
    return {name: tensor for name, tensor in found.items() if not name.endswith("position_ids")}


def table(ours: BLIPPartsConfig) -> list[Rename]:
    """The rename table of all tensors; their patch embedding is a convolution."""
    if isinstance(ours, BLIPRetrieverConfig):
        return [
            *image_table("towers.image", ours),
            *_text("towers.text", "text_encoder", ours),
            *linear("towers.project_image", "vision_proj"),
            *linear("towers.project_text", "text_proj"),
            *linear("itm_head", "itm_head"),
        ]
    question = _text("question", "text_encoder", ours) if isinstance(ours, BLIPAnswererConfig) else []
    return [
        *image_table("image", ours),
        *question,
        *_text("text", "text_decoder.bert", ours),
        *linear("lm_head.project", f"{HEAD}.transform.dense"),
        *linear("lm_head.norm", f"{HEAD}.transform.LayerNorm"),
        rename("lm_head.bias", f"{HEAD}.bias"),
    ]


def image_table(prefix: str, ours: ImageConfig) -> list[Rename]:
    """The image tower, which BLIP-2 has too."""
    embeddings, size, width = "vision_model.embeddings", ours.patch_size, ours.image.width
    patches = f"{embeddings}.patch_embedding"
    out = [
        rename(f"{prefix}.embed.class_token", f"{embeddings}.class_embedding", shape=(1, 1, width)),
        rename(f"{prefix}.embed.positions.table", f"{embeddings}.position_embedding", shape=(1, -1, width)),
        rename(f"{prefix}.embed.patches.project.weight", f"{patches}.weight", shape=(width, 3, size, size)),
        rename(f"{prefix}.embed.patches.project.bias", f"{patches}.bias"),
        *linear(f"{prefix}.transformer.norm", "vision_model.post_layernorm"),
    ]
    for i in range(ours.image.depth):
        block, layer = f"{prefix}.transformer.blocks.{i}", f"vision_model.encoder.layers.{i}"
        out += [
            *linear(f"{block}.attention.qkv", f"{layer}.self_attn.qkv"),
            *linear(f"{block}.attention.output", f"{layer}.self_attn.projection"),
            *linear(f"{block}.attention_norm", f"{layer}.layer_norm1"),
            *linear(f"{block}.mlp.up", f"{layer}.mlp.fc1"),
            *linear(f"{block}.mlp.down", f"{layer}.mlp.fc2"),
            *linear(f"{block}.mlp_norm", f"{layer}.layer_norm2"),
        ]
    return out


def _text(prefix: str, theirs: str, ours: BLIPPartsConfig) -> list[Rename]:
    embeddings = f"{theirs}.embeddings"
    out = [
        rename(f"{prefix}.embed.tokens.weight", f"{embeddings}.word_embeddings.weight"),
        rename(f"{prefix}.embed.positions.weight", f"{embeddings}.position_embeddings.weight"),
        *linear(f"{prefix}.embed.norm", f"{embeddings}.LayerNorm"),
    ]
    for i in range(ours.depth):
        block, layer = f"{prefix}.stack.blocks.{i}", f"{theirs}.encoder.layer.{i}"
        own, across = f"{layer}.attention", f"{layer}.crossattention"
        out += [
            *linear(f"{block}.attention.qkv", *(f"{own}.self.{name}" for name in ("query", "key", "value"))),
            *linear(f"{block}.attention.output", f"{own}.output.dense"),
            *linear(f"{block}.attention_norm", f"{own}.output.LayerNorm"),
            *linear(f"{block}.cross_attention.query", f"{across}.self.query"),
            *linear(f"{block}.cross_attention.key_value", f"{across}.self.key", f"{across}.self.value"),
            *linear(f"{block}.cross_attention.output", f"{across}.output.dense"),
            *linear(f"{block}.cross_attention_norm", f"{across}.output.LayerNorm"),
            *linear(f"{block}.mlp.up", f"{layer}.intermediate.dense"),
            *linear(f"{block}.mlp.down", f"{layer}.output.dense"),
            *linear(f"{block}.mlp_norm", f"{layer}.output.LayerNorm"),
        ]
    return out
