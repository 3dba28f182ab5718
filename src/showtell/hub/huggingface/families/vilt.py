"""ViLT as `ViltModel`, pretrained, and fine-tuned: questions, statements about several images, ranking.

Pretraining has two heads, the reference's `ViltForMaskedLM` one: that of matching goes beside it under the
authors' name, `itm_score.fc`, and `transformers` leaves it out. A file with one of the two gives the encoder.
The ids that are masked and never masked are the tokenizer's (`read_pretrained`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from showtell.hub.huggingface.families.vit import NEWER
from showtell.hub.huggingface.names import align, respell, untie
from showtell.hub.huggingface.rename import Rename, linear, rename
from showtell.hub.huggingface.setting import classes_from, classes_to, expect, sizes_from, sizes_to
from showtell.systems.vilt import ViLT, ViLTConfig, ViLTEncoder, ViLTEncoderConfig
from showtell.systems.vilt_finetuned import ViLTAnswerer, ViLTAnswererConfig, ViLTRanker, ViLTRankerConfig

logger = logging.getLogger(__name__)

MODEL_TYPES = ("vilt",)
SYSTEMS = (ViLT, ViLTAnswerer, ViLTRanker, ViLTEncoder)
PROCESSOR = "ViTImageProcessor"  # of images squashed to squares; those whose ratio is kept are ViLT's own
UNNAMED_PROCESSOR = "ViltImageProcessor"
ANCHOR, BASE = "embeddings.text_embeddings.word_embeddings.weight", "vilt."
MARK = ANCHOR
HEADS = ("classifier.", "rank_output.")
PRETRAINING = ("mlm_score.", "itm_score.")
# The reference's older files have the bias of the words' logits under the shorter name.
TIED = {
    "mlm_score.decoder.weight": BASE + "embeddings.text_embeddings.word_embeddings.weight",
    "mlm_score.bias": "mlm_score.decoder.bias",
}
SINGLE, MULTIPLE = "single_label_classification", "multi_label_classification"
"""Whether one answer excludes the others, as the reference's `problem_type` says it."""
SAMPLED = 200
"""Patches of an image that training reads at most, where the file says no number (Kim et al. 2021, 4.1)."""
# The reference's own, which its older files leave out.
DEFAULTS: dict[str, Any] = {
    "vocab_size": 30522,
    "type_vocab_size": 2,
    "modality_type_vocab_size": 2,
    "max_position_embeddings": 40,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "image_size": 384,
    "patch_size": 32,
    "max_image_length": -1,
    "num_images": -1,
}


def config_from(theirs: Mapping[str, Any], names: set[str]) -> ViLTEncoderConfig:
    """Our config. Where nothing says so, one answer excludes the others for several images alone."""
    theirs = DEFAULTS | dict(theirs)
    expect(theirs, num_channels=3, qkv_bias=True)
    sampled = theirs["max_image_length"]
    sizes = {
        "vocab_size": theirs["vocab_size"],
        "max_length": theirs["max_position_embeddings"],
        "num_segments": theirs["type_vocab_size"],
        "num_modal_types": theirs["modality_type_vocab_size"],
        "image_size": theirs["image_size"],
        "patch_size": theirs["patch_size"],
        "num_sampled": sampled if sampled > 0 else SAMPLED,
        **sizes_from(theirs),
    }
    if "classifier.0.weight" in names:
        images = max(theirs["num_images"], 1)
        kind = theirs.get("problem_type") or (SINGLE if images > 1 else MULTIPLE)
        return ViLTAnswererConfig(
            **sizes, **classes_from(theirs), num_images=images, exclusive=kind == SINGLE
        )
    if "itm_score.fc.weight" in names:
        return ViLTConfig(**sizes)
    return ViLTRankerConfig(**sizes) if "rank_output.weight" in names else ViLTEncoderConfig(**sizes)


def config_to(ours: ViLTEncoderConfig) -> dict[str, Any]:
    """Their `config.json`, from our config."""
    out: dict[str, Any] = {
        "model_type": "vilt",
        "architectures": ["ViltModel"],
        "vocab_size": ours.vocab_size,
        "max_position_embeddings": ours.max_length,
        "type_vocab_size": ours.num_segments,
        "modality_type_vocab_size": ours.num_modal_types,
        "image_size": ours.image_size,
        "patch_size": ours.patch_size,
        "max_image_length": -1 if ours.num_sampled == SAMPLED else ours.num_sampled,
        "hidden_dropout_prob": ours.dropout,
        **sizes_to(ours),
    }
    if isinstance(ours, ViLTConfig):
        out["architectures"] = ["ViltForMaskedLM"]
    if isinstance(ours, ViLTRankerConfig):
        out["architectures"] = ["ViltForImageAndTextRetrieval"]
    if isinstance(ours, ViLTAnswererConfig):
        several = "ViltForImagesAndTextClassification"
        out["architectures"] = [several if ours.num_images > 1 else "ViltForQuestionAnswering"]
        out["problem_type"] = SINGLE if ours.exclusive else MULTIPLE
        out |= {"num_images": ours.num_images if ours.num_images > 1 else -1, **classes_to(ours)}
    return out


def tidy(found: dict[str, Tensor], theirs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Their tensors without the prefixes of wrappers, those that are tied, and heads without their system."""
    whole = all(any(name.startswith(head) for name in found) for head in PRETRAINING)
    if whole and not any(name.startswith(HEADS) for name in found):
        found = untie(align(respell(found, NEWER), ANCHOR, BASE, PRETRAINING), TIED)
    else:
        if unread := sorted({name.split(".")[0] for name in found if name.startswith(PRETRAINING)}):
            logger.warning("not imported, as fine-tuning does not read them: the heads %s", ", ".join(unread))
        found = {name: tensor for name, tensor in found.items() if not name.startswith(PRETRAINING)}
        found = align(respell(found, NEWER), ANCHOR, BASE, HEADS)
    return {name: tensor for name, tensor in found.items() if not name.endswith("position_ids")}


def table(ours: ViLTEncoderConfig) -> list[Rename]:
    """The rename table of all tensors; their patch embedding is a convolution."""
    ranks, answers = isinstance(ours, ViLTRankerConfig), isinstance(ours, ViLTAnswererConfig)
    pretrained = isinstance(ours, ViLTConfig)
    prefix, size, width = BASE if pretrained or ranks or answers else "", ours.patch_size, ours.width
    text, patches = f"{prefix}embeddings.text_embeddings", f"{prefix}embeddings.patch_embeddings.projection"
    out = [
        rename("text.tokens.weight", f"{text}.word_embeddings.weight"),
        rename("text.positions.weight", f"{text}.position_embeddings.weight"),
        rename("text.segments.weight", f"{text}.token_type_embeddings.weight"),
        *linear("text.norm", f"{text}.LayerNorm"),
        rename("image.class_token", f"{prefix}embeddings.cls_token", shape=(1, 1, width)),
        rename("image.positions", f"{prefix}embeddings.position_embeddings", shape=(1, -1, width)),
        rename("image.patches.project.weight", f"{patches}.weight", shape=(width, 3, size, size)),
        rename("image.patches.project.bias", f"{patches}.bias"),
        rename("modal_types.weight", f"{prefix}embeddings.token_type_embeddings.weight"),
        *linear("transformer.norm", f"{prefix}layernorm"),
        *linear("pooler.project", f"{prefix}pooler.dense"),
    ]
    if pretrained:
        out += [
            rename("mlm_head.bias", "mlm_score.decoder.bias"),
            *linear("mlm_head.project", "mlm_score.transform.dense"),
            *linear("mlm_head.norm", "mlm_score.transform.LayerNorm"),
            *linear("itm_head", "itm_score.fc"),
        ]
    if ranks:
        out += [rename("rank.weight", "rank_output.weight"), rename("rank_bias", "rank_output.bias")]
    if answers:
        out += [row for layer in (0, 1, 3) for row in linear(f"classifier.{layer}", f"classifier.{layer}")]
    for i in range(ours.depth):
        block, inner = f"transformer.blocks.{i}", f"{prefix}encoder.layer.{i}"
        qkv = (f"{inner}.attention.attention.{name}" for name in ("query", "key", "value"))
        out += [
            *linear(f"{block}.attention.qkv", *qkv),
            *linear(f"{block}.attention.output", f"{inner}.attention.output.dense"),
            *linear(f"{block}.attention_norm", f"{inner}.layernorm_before"),
            *linear(f"{block}.mlp.up", f"{inner}.intermediate.dense"),
            *linear(f"{block}.mlp.down", f"{inner}.output.dense"),
            *linear(f"{block}.mlp_norm", f"{inner}.layernorm_after"),
        ]
    return out
