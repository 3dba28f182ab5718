"""VisualBERT as `VisualBertModel`, `…ForPreTraining`, `…ForQuestionAnswering` and `…ForVisualReasoning`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from showtell.hub.huggingface.families import bert
from showtell.hub.huggingface.names import align, untie
from showtell.hub.huggingface.rename import Rename, linear, rename
from showtell.hub.huggingface.setting import classes_from, classes_to, expect, sizes_from, sizes_to
from showtell.systems.visual_bert import (
    VisualBERT,
    VisualBERTAnswerer,
    VisualBERTAnswererConfig,
    VisualBERTConfig,
    VisualBERTEncoder,
    VisualBERTEncoderConfig,
)

MODEL_TYPES = ("visual_bert",)
SYSTEMS = (VisualBERT, VisualBERTAnswerer, VisualBERTEncoder)
ANCHOR, BASE = "embeddings.visual_projection.weight", "visual_bert."
MARK = ANCHOR
# The reference's own, which its files leave out.
DEFAULTS: dict[str, Any] = {
    "vocab_size": 30522,
    "hidden_size": 768,
    "visual_embedding_dim": 512,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
}
TIED = {
    "cls.predictions.decoder.weight": BASE + "embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}
READINGS = {"VisualBertForQuestionAnswering": "last word", "VisualBertForVisualReasoning": "pooled"}


def config_from(theirs: Mapping[str, Any], names: set[str]) -> VisualBERTEncoderConfig:
    """Our config; heads of one shape are told apart by `architectures`, which says questions by default."""
    theirs = DEFAULTS | dict(theirs)
    expect(theirs, bypass_transformer=False, tie_word_embeddings=True)
    sizes = {
        "vocab_size": theirs["vocab_size"],
        "max_length": theirs["max_position_embeddings"],
        "num_segments": theirs["type_vocab_size"],
        "feature_width": theirs["visual_embedding_dim"],
        **sizes_from(theirs),
    }
    if "cls.predictions.bias" in names:
        return VisualBERTConfig(**sizes)
    if "cls.weight" not in names:
        return VisualBERTEncoderConfig(**sizes)
    (named,) = theirs.get("architectures") or ["VisualBertForQuestionAnswering"]
    if named not in READINGS:
        raise ValueError(f"the head of {named} is not supported, only {', '.join(READINGS)}")
    return VisualBERTAnswererConfig(**sizes, **classes_from(theirs), reading=READINGS[named])  # type: ignore[arg-type]


def config_to(ours: VisualBERTEncoderConfig) -> dict[str, Any]:
    """Their `config.json`, from our config."""
    out: dict[str, Any] = {
        "model_type": "visual_bert",
        "architectures": ["VisualBertModel"],
        "vocab_size": ours.vocab_size,
        "max_position_embeddings": ours.max_length,
        "type_vocab_size": ours.num_segments,
        "visual_embedding_dim": ours.feature_width,
        "hidden_dropout_prob": ours.dropout,
        **sizes_to(ours),
    }
    if isinstance(ours, VisualBERTConfig):
        out["architectures"] = ["VisualBertForPreTraining"]
    if isinstance(ours, VisualBERTAnswererConfig):
        out["architectures"] = [name for name, reading in READINGS.items() if reading == ours.reading]
        out |= classes_to(ours)
    return out


def tidy(found: dict[str, Tensor], theirs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Their tensors without those that are tied, and without position ids."""
    found = align(found, ANCHOR, BASE, ("cls.",))
    found = untie(found, TIED) if "cls.predictions.bias" in found else found
    return {name: tensor for name, tensor in found.items() if not name.endswith("position_ids")}


def table(ours: VisualBERTEncoderConfig) -> list[Rename]:
    """The rename table of all tensors: BERT's, and those of images."""
    pretrained, answers = isinstance(ours, VisualBERTConfig), isinstance(ours, VisualBERTAnswererConfig)
    prefix = BASE if pretrained or answers else ""
    encoder = bert.encoder(prefix, ours.depth)
    out = [replace(row, ours=row.ours.replace("embed.", "text.")) for row in encoder]
    out += [
        *linear("project", f"{prefix}embeddings.visual_projection"),
        rename("image_positions.weight", f"{prefix}embeddings.visual_position_embeddings.weight"),
        rename("image_segments.weight", f"{prefix}embeddings.visual_token_type_embeddings.weight"),
        *linear("pooler.project", f"{prefix}pooler.dense"),
    ]
    if answers:
        out += linear("classifier", "cls")
    if pretrained:
        out += [
            rename("mlm_head.bias", "cls.predictions.bias"),
            *linear("mlm_head.project", "cls.predictions.transform.dense"),
            *linear("mlm_head.norm", "cls.predictions.transform.LayerNorm"),
            *linear("itm_head", "cls.seq_relationship"),
        ]
    return out
