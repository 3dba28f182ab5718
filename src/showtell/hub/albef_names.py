"""The names of ALBEF's published tensors, and the sizes that they tell.

visual_encoder  timm's ViT
text_encoder    BERT, whose upper half has cross-attention; with the head of masked words where pretrained
vision_proj, text_proj, itm_head, temp
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isqrt

from torch import Tensor

from showtell.hub.huggingface.families.bert import encoder
from showtell.hub.huggingface.rename import Rename, linear, rename
from showtell.systems.albef import ALBEFConfig
from showtell.systems.albef_finetuned import ALBEFRetrieverConfig
from showtell.systems.albef_parts import ALBEFPartsConfig
from showtell.systems.clip import TowerConfig

HEAD_WIDTH, IMAGE_EPS, TEXT_EPS = 64, 1e-6, 1e-12
"""What no tensor tells: their code has these alone, and GELU."""
WORDS = "text_encoder.cls.predictions"
PATCHES = "visual_encoder.patch_embed.proj"


def config_from(found: Mapping[str, Tensor]) -> ALBEFPartsConfig:
    """Our config, from the shapes of their tensors. Raises `KeyError` or `ValueError` for none."""
    words = f"{WORDS}.bias" in found
    prefix = "text_encoder.bert." if words else "text_encoder."
    width, _, size, _ = found[f"{PATCHES}.weight"].shape
    patches = found["visual_encoder.pos_embed"].shape[1] - 1
    text, layers = found[f"{prefix}embeddings.word_embeddings.weight"], f"{prefix}encoder.layer"
    depth = _count(found, layers)
    fusing = sum(f"{layers}.{i}.crossattention.self.query.weight" in found for i in range(depth))
    for side, what in ((width, "images"), (text.shape[1], "texts")):
        if side % HEAD_WIDTH:
            raise ValueError(f"the width of {what}, {side}, is no multiple of {HEAD_WIDTH}")
    return (ALBEFConfig if words else ALBEFRetrieverConfig)(
        image=TowerConfig(
            width,
            width // HEAD_WIDTH,
            len(found["visual_encoder.blocks.0.mlp.fc1.weight"]),
            _count(found, "visual_encoder.blocks"),
            "gelu",
            IMAGE_EPS,
        ),
        image_size=isqrt(patches) * size,
        patch_size=size,
        vocab_size=len(text),
        width=text.shape[1],
        depth=depth - fusing,
        fusion_depth=fusing,
        num_heads=text.shape[1] // HEAD_WIDTH,
        mlp_dim=len(found[f"{layers}.0.intermediate.dense.weight"]),
        eps=TEXT_EPS,
        max_length=len(found[f"{prefix}embeddings.position_embeddings.weight"]),
        num_segments=len(found[f"{prefix}embeddings.token_type_embeddings.weight"]),
        shared_width=len(found["vision_proj.weight"]),
        queue_size=found["image_queue"].shape[1] if "image_queue" in found else 0,
    )


def table(ours: ALBEFPartsConfig) -> list[Rename]:
    """The rename table of all tensors that are not training's alone; the patch embedding is a convolution."""
    words = []
    if isinstance(ours, ALBEFConfig):
        words = [
            *linear("towers.mlm_head.project", f"{WORDS}.transform.dense"),
            *linear("towers.mlm_head.norm", f"{WORDS}.transform.LayerNorm"),
            rename("towers.mlm_head.bias", f"{WORDS}.bias"),
        ]
    return [
        *_image(ours),
        *_text(text_prefix(ours), ours),
        *words,
        *linear("towers.project_image", "vision_proj"),
        *linear("towers.project_text", "text_proj"),
        *linear("itm_head", "itm_head"),
        rename("log_temperature", "temp"),
    ]


def _image(ours: ALBEFPartsConfig) -> list[Rename]:
    prefix, size, width = "towers.image", ours.patch_size, ours.image.width
    out = [
        rename(f"{prefix}.embed.class_token", "visual_encoder.cls_token", shape=(1, 1, width)),
        rename(f"{prefix}.embed.positions.table", "visual_encoder.pos_embed", shape=(1, -1, width)),
        rename(f"{prefix}.embed.patches.project.weight", f"{PATCHES}.weight", shape=(width, 3, size, size)),
        rename(f"{prefix}.embed.patches.project.bias", f"{PATCHES}.bias"),
        *linear(f"{prefix}.transformer.norm", "visual_encoder.norm"),
    ]
    for i in range(ours.image.depth):
        block, theirs = f"{prefix}.transformer.blocks.{i}", f"visual_encoder.blocks.{i}"
        out += [
            *linear(f"{block}.attention_norm", f"{theirs}.norm1"),
            *linear(f"{block}.attention.qkv", f"{theirs}.attn.qkv"),
            *linear(f"{block}.attention.output", f"{theirs}.attn.proj"),
            *linear(f"{block}.mlp_norm", f"{theirs}.norm2"),
            *linear(f"{block}.mlp.up", f"{theirs}.mlp.fc1"),
            *linear(f"{block}.mlp.down", f"{theirs}.mlp.fc2"),
        ]
    return out


def _text(prefix: str, ours: ALBEFPartsConfig) -> list[Rename]:
    places = [f"towers.text.blocks.{i}" for i in range(ours.depth)]
    places += [f"towers.fusion.blocks.{i}" for i in range(ours.fusion_depth)]
    renamed = {"embed": "towers.embed"} | {f"transformer.blocks.{i}": p for i, p in enumerate(places)}
    out = []
    for rule in encoder(prefix, len(places)):
        old = next(name for name in renamed if rule.ours.startswith(f"{name}."))
        out.append(replace(rule, ours=rule.ours.replace(old, renamed[old], 1)))
    for i, place in enumerate(places[ours.depth :], ours.depth):
        across = f"{prefix}encoder.layer.{i}.crossattention"
        out += [
            *linear(f"{place}.cross_attention.query", f"{across}.self.query"),
            *linear(f"{place}.cross_attention.key_value", f"{across}.self.key", f"{across}.self.value"),
            *linear(f"{place}.cross_attention.output", f"{across}.output.dense"),
            *linear(f"{place}.cross_attention_norm", f"{across}.output.LayerNorm"),
        ]
    return out


def text_prefix(ours: ALBEFPartsConfig) -> str:
    """What stands before the names of BERT's tensors."""
    return "text_encoder.bert." if isinstance(ours, ALBEFConfig) else "text_encoder."


def tied(ours: ALBEFPartsConfig) -> dict[str, str]:
    """Copies of tensors, and what they are copies of."""
    if not isinstance(ours, ALBEFConfig):
        return {}
    return {
        f"{WORDS}.decoder.weight": f"{text_prefix(ours)}embeddings.word_embeddings.weight",
        f"{WORDS}.decoder.bias": f"{WORDS}.bias",
    }


def _count(found: Mapping[str, Tensor], prefix: str) -> int:
    """Of the numbered modules under a prefix."""
    numbers = {n.removeprefix(f"{prefix}.").partition(".")[0] for n in found if n.startswith(f"{prefix}.")}
    return len(numbers)
