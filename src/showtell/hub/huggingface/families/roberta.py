"""RoBERTa under the names of `RobertaForMaskedLM`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from showtell.hub.huggingface.families.bert import encoder
from showtell.hub.huggingface.rename import Rename, linear, rename
from showtell.hub.huggingface.setting import expect, sizes_from, sizes_to
from showtell.systems.roberta import RoBERTa, RoBERTaConfig

MODEL_TYPES = ("roberta",)
SYSTEMS = (RoBERTa,)
# Copies of tied weights, counters, and a pooler that the released weights carry though nothing trained it.
REDUNDANT = (
    "lm_head.decoder.weight",
    "lm_head.decoder.bias",
    ".position_ids",
    ".pooler.dense.weight",
    ".pooler.dense.bias",
)


def config_from(theirs: Mapping[str, Any], names: set[str]) -> RoBERTaConfig:
    """Our configuration. Their positions count from the id of padding plus one; <mask> is the last word."""
    expect(theirs, is_decoder=False, add_cross_attention=False, tie_word_embeddings=True)
    first, mask_id = theirs["pad_token_id"] + 1, theirs["vocab_size"] - 1
    return RoBERTaConfig(
        vocab_size=theirs["vocab_size"],
        max_length=theirs["max_position_embeddings"] - first,
        first_position=first,
        num_segments=theirs["type_vocab_size"],
        mask_id=mask_id,
        special=(0, 1, 2, 3, mask_id),
        **sizes_from(theirs),
    )


def config_to(ours: RoBERTaConfig) -> dict[str, Any]:
    """Their `config.json`."""
    return {
        "model_type": "roberta",
        "architectures": ["RobertaForMaskedLM"],
        "vocab_size": ours.vocab_size,
        "max_position_embeddings": ours.max_length + ours.first_position,
        "pad_token_id": ours.first_position - 1,
        "type_vocab_size": ours.num_segments,
        "hidden_dropout_prob": ours.dropout,
        "attention_probs_dropout_prob": 0.0,
        **sizes_to(ours),
    }


def tidy(found: dict[str, Tensor], theirs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Without what is redundant."""
    return {name: tensor for name, tensor in found.items() if not name.endswith(REDUNDANT)}


def table(ours: RoBERTaConfig) -> list[Rename]:
    """Every tensor."""
    return [
        *encoder("roberta.", ours.depth),
        rename("words.bias", "lm_head.bias"),
        *linear("words.project", "lm_head.dense"),
        *linear("words.norm", "lm_head.layer_norm"),
    ]
