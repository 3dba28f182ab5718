"""LXMERT as `LxmertModel`, `LxmertForPreTraining` and `LxmertForQuestionAnswering`.

The heads of pretraining that predict objects and answers are not imported: no loss of ours trains them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from showtell.errors import UsageError
from showtell.hub.huggingface.names import align, untie
from showtell.hub.huggingface.rename import Rename, linear, rename
from showtell.hub.huggingface.setting import activation, expect, sizes_to
from showtell.systems.lxmert import (
    LXMERT,
    LXMERTAnswerer,
    LXMERTAnswererConfig,
    LXMERTConfig,
    LXMERTEncoder,
    LXMERTEncoderConfig,
)

MODEL_TYPES = ("lxmert",)
SYSTEMS = (LXMERT, LXMERTAnswerer, LXMERTEncoder)
ANCHOR, BASE = "embeddings.word_embeddings.weight", "lxmert."
MARK = "encoder.visn_fc.visn_fc.weight"
# The reference's own, which its files leave out.
DEFAULTS: dict[str, Any] = {
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "l_layers": 9,
    "r_layers": 5,
    "x_layers": 5,
    "visual_feat_dim": 2048,
    "num_qa_labels": 9500,
}
EPS = 1e-12
"""Of every norm of the reference."""
TIED = {"cls.predictions.decoder.weight": BASE + ANCHOR}


def config_from(theirs: Mapping[str, Any], names: set[str]) -> LXMERTEncoderConfig:
    """Our config; the reference's norms have an epsilon of 1e-12 always."""
    theirs = DEFAULTS | dict(theirs)
    expect(theirs, visual_pos_dim=4, tie_word_embeddings=True)
    sizes = {
        "vocab_size": theirs["vocab_size"],
        "width": theirs["hidden_size"],
        "depth": theirs["l_layers"],
        "image_depth": theirs["r_layers"],
        "cross_depth": theirs["x_layers"],
        "num_heads": theirs["num_attention_heads"],
        "mlp_dim": theirs["intermediate_size"],
        "max_length": theirs["max_position_embeddings"],
        "num_segments": theirs["type_vocab_size"],
        "feature_width": theirs["visual_feat_dim"],
        "activation": activation(theirs["hidden_act"]),
    }
    if "cls.predictions.bias" in names:
        return LXMERTConfig(**sizes)
    if any(name.startswith("answer_head.") for name in names):
        return LXMERTAnswererConfig(**sizes, num_classes=theirs["num_qa_labels"])
    return LXMERTEncoderConfig(**sizes)


def config_to(ours: LXMERTEncoderConfig) -> dict[str, Any]:
    """Their `config.json`, from our config."""
    if ours.eps != EPS:
        raise UsageError(f"LXMERT of transformers has norms with an epsilon of {EPS}, not {ours.eps}")
    sizes = {
        name: value
        for name, value in sizes_to(ours).items()
        if name not in ("num_hidden_layers", "layer_norm_eps")
    }
    out: dict[str, Any] = {
        "model_type": "lxmert",
        "architectures": ["LxmertModel"],
        "vocab_size": ours.vocab_size,
        "l_layers": ours.depth,
        "r_layers": ours.image_depth,
        "x_layers": ours.cross_depth,
        "max_position_embeddings": ours.max_length,
        "type_vocab_size": ours.num_segments,
        "visual_feat_dim": ours.feature_width,
        "hidden_dropout_prob": ours.dropout,
        **sizes,
    }
    if isinstance(ours, LXMERTConfig):
        out |= {"architectures": ["LxmertForPreTraining"], "task_obj_predict": False, "task_qa": False}
    if isinstance(ours, LXMERTAnswererConfig):
        if ours.num_images > 1:
            raise UsageError("LXMERT of transformers answers questions about one image")
        out |= {"architectures": ["LxmertForQuestionAnswering"], "num_qa_labels": ours.num_classes}
    return out


def tidy(found: dict[str, Tensor], theirs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Their tensors without the tied one, the position ids and, of pretraining, the heads without a loss."""
    found = align(found, ANCHOR, BASE, ("cls.", "answer_head.", "obj_predict_head."))
    if "cls.predictions.bias" in found:
        found = untie(found, TIED)
    return {name: tensor for name, tensor in found.items() if not name.endswith("position_ids")}


def table(ours: LXMERTEncoderConfig) -> list[Rename]:
    """The rename table of all tensors."""
    pretrained, answers = isinstance(ours, LXMERTConfig), isinstance(ours, LXMERTAnswererConfig)
    prefix = BASE if pretrained or answers else ""
    embeddings, encoder = f"{prefix}embeddings", f"{prefix}encoder"
    out = [
        rename("text.tokens.weight", f"{embeddings}.word_embeddings.weight"),
        rename("text.positions.weight", f"{embeddings}.position_embeddings.weight"),
        rename("text.segments.weight", f"{embeddings}.token_type_embeddings.weight"),
        *linear("text.norm", f"{embeddings}.LayerNorm"),
        *linear("features", f"{encoder}.visn_fc.visn_fc"),
        *linear("features_norm", f"{encoder}.visn_fc.visn_layer_norm"),
        *linear("places", f"{encoder}.visn_fc.box_fc"),
        *linear("places_norm", f"{encoder}.visn_fc.box_layer_norm"),
        *linear("pooler.project", f"{prefix}pooler.dense"),
    ]
    for name, theirs, depth in (
        ("text_blocks", "layer", ours.depth),
        ("image_blocks", "r_layers", ours.image_depth),
    ):
        for i in range(depth):
            layer = f"{encoder}.{theirs}.{i}"
            out += _block(f"{name}.{i}", f"{layer}.attention", f"{layer}.intermediate", f"{layer}.output")
    for i in range(ours.cross_depth):
        exchange, layer = f"exchanges.{i}", f"{encoder}.x_layers.{i}"
        look = f"{layer}.visual_attention"
        out += [
            *linear(f"{exchange}.look.query", f"{look}.att.query"),
            *linear(f"{exchange}.look.key_value", f"{look}.att.key", f"{look}.att.value"),
            *linear(f"{exchange}.look.output", f"{look}.output.dense"),
            *linear(f"{exchange}.norm", f"{look}.output.LayerNorm"),
        ]
        for name, theirs in (("text", "lang"), ("image", "visn")):
            stem = f"{layer}.{theirs}"
            out += _block(f"{exchange}.{name}", f"{stem}_self_att", f"{stem}_inter", f"{stem}_output")
    if answers:
        out += [row for i in (0, 2, 3) for row in linear(f"classifier.{i}", f"answer_head.logit_fc.{i}")]
    if pretrained:
        out += [
            rename("mlm_head.bias", "cls.predictions.bias"),
            *linear("mlm_head.project", "cls.predictions.transform.dense"),
            *linear("mlm_head.norm", "cls.predictions.transform.LayerNorm"),
            *linear("itm_head", "cls.seq_relationship"),
        ]
    return out


def _block(ours: str, attention: str, up: str, down: str) -> list[Rename]:
    qkv = (f"{attention}.self.{name}" for name in ("query", "key", "value"))
    return [
        *linear(f"{ours}.attention.qkv", *qkv),
        *linear(f"{ours}.attention.output", f"{attention}.output.dense"),
        *linear(f"{ours}.attention_norm", f"{attention}.output.LayerNorm"),
        *linear(f"{ours}.mlp.up", f"{up}.dense"),
        *linear(f"{ours}.mlp.down", f"{down}.dense"),
        *linear(f"{ours}.mlp_norm", f"{down}.LayerNorm"),
    ]
