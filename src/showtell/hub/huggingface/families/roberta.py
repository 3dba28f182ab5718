"""RoBERTa as `RobertaForMaskedLM`, its encoder alone as `RobertaModel`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from showtell.errors import UsageError
from showtell.hub.huggingface.declared import without_spare
from showtell.hub.huggingface.families import bert
from showtell.hub.huggingface.families.bert import encoder
from showtell.hub.huggingface.names import align, untie
from showtell.hub.huggingface.pooling import pooling, sentence_pooling
from showtell.hub.huggingface.rename import Rename, linear, rename
from showtell.hub.huggingface.setting import expect, sizes_from, sizes_to
from showtell.systems.bert import BERTEncoder, BERTEncoderConfig
from showtell.systems.roberta import RoBERTa, RoBERTaConfig

MODEL_TYPES = ("roberta",)
SYSTEMS = (RoBERTa, BERTEncoder)
HEADS: dict[str, tuple[str, ...]] = {"RobertaModel": (), "RobertaForMaskedLM": ("lm_head.",)}
BASE = "roberta."
MARK = bert.MARK
DEFAULTS: dict[str, Any] = bert.DEFAULTS | {"vocab_size": 50265, "pad_token_id": 1}
# Position ids, and the released weights' pooler, which was never trained.
REDUNDANT = ("position_ids", "pooler.dense.weight", "pooler.dense.bias")
TIED = {"lm_head.decoder.weight": BASE + bert.ANCHOR, "lm_head.decoder.bias": "lm_head.bias"}


def config_from(theirs: Mapping[str, Any], names: set[str]) -> RoBERTaConfig | BERTEncoderConfig:
    """Our config. Positions start at the id of the padding token plus one; <mask> is the last token."""
    theirs = DEFAULTS | dict(theirs)
    expect(theirs, is_decoder=False, add_cross_attention=False, tie_word_embeddings=True)
    first, mask_id = theirs["pad_token_id"] + 1, theirs["vocab_size"] - 1
    sizes = {
        "vocab_size": theirs["vocab_size"],
        "max_length": theirs["max_position_embeddings"] - first,
        "first_position": first,
        "num_segments": theirs["type_vocab_size"],
        **sizes_from(theirs),
    }
    if _headless(names):
        return BERTEncoderConfig(**sizes, pooler=False, pooling=pooling(theirs))
    return RoBERTaConfig(**sizes, mask_id=mask_id, special=(0, 1, 2, 3, mask_id))


def config_to(ours: RoBERTaConfig | BERTEncoderConfig) -> dict[str, Any]:
    """Their `config.json`, from our config."""
    theirs = {
        "model_type": "roberta",
        "architectures": ["RobertaForMaskedLM"],
        "vocab_size": ours.vocab_size,
        "max_position_embeddings": _positions(ours) + ours.first_position,
        "pad_token_id": ours.first_position - 1,
        "type_vocab_size": ours.num_segments,
        "hidden_dropout_prob": ours.dropout,
        "attention_probs_dropout_prob": 0.0,
        **sizes_to(ours),
    }
    if isinstance(ours, BERTEncoderConfig):
        if not ours.num_segments or not ours.first_position or ours.pooler:
            raise UsageError("RoBERTa of transformers has at least one segment and no trained pooler")
        theirs["architectures"] = ["RobertaModel"]
        theirs |= sentence_pooling(ours)
    return theirs


def tidy(found: dict[str, Tensor], theirs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Their tensors without redundant ones; those of an encoder alone have no prefix."""
    heads, anchor = ("lm_head.",), bert.ANCHOR
    found = align(without_spare(align(found, anchor, BASE, heads), theirs, HEADS), anchor, BASE, heads)
    found = found if _headless(set(found)) else untie(found, TIED)
    return {name: tensor for name, tensor in found.items() if not name.endswith(REDUNDANT)}


def _positions(ours: RoBERTaConfig | BERTEncoderConfig) -> int:
    return getattr(ours, "num_positions", None) or ours.max_length


def _headless(names: set[str]) -> bool:
    return not any(name.startswith("lm_head.") for name in names)


def table(ours: RoBERTaConfig | BERTEncoderConfig) -> list[Rename]:
    """The rename table of all tensors."""
    if not isinstance(ours, RoBERTaConfig):
        return encoder("", ours.depth)
    return [
        *encoder("roberta.", ours.depth),
        rename("mlm_head.bias", "lm_head.bias"),
        *linear("mlm_head.project", "lm_head.dense"),
        *linear("mlm_head.norm", "lm_head.layer_norm"),
    ]
