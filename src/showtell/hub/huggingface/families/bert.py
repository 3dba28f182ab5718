"""BERT under the names of `BertForPreTraining`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from showtell.hub.huggingface.rename import Rename, linear, rename
from showtell.hub.huggingface.setting import expect, sizes_from, sizes_to
from showtell.systems.bert import BERT, BERTConfig

SYSTEM = BERT
# Copies of tied weights and counters that older versions wrote.
REDUNDANT = ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias", ".position_ids")


def config_from(theirs: Mapping[str, Any], names: set[str]) -> BERTConfig:
    """Our configuration; the ids of special words are those of the released vocabulary."""
    expect(theirs, is_decoder=False, add_cross_attention=False, tie_word_embeddings=True)
    return BERTConfig(
        vocab_size=theirs["vocab_size"],
        max_length=theirs["max_position_embeddings"],
        num_segments=theirs["type_vocab_size"],
        **sizes_from(theirs),
    )


def config_to(ours: BERTConfig) -> dict[str, Any]:
    """Their `config.json`."""
    return {
        "model_type": "bert",
        "architectures": ["BertForPreTraining"],
        "vocab_size": ours.vocab_size,
        "max_position_embeddings": ours.max_length,
        "type_vocab_size": ours.num_segments,
        "hidden_dropout_prob": ours.dropout,
        "attention_probs_dropout_prob": 0.0,
        **sizes_to(ours),
    }


def tidy(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without redundant tensors; TensorFlow's gamma and beta are weight and bias."""
    old = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
    out = {}
    for name, tensor in found.items():
        if not name.endswith(REDUNDANT):
            for before, after in old.items():
                name = name.replace(before, after)
            out[name] = tensor
    return out


def table(ours: BERTConfig) -> list[Rename]:
    """Every tensor."""
    return [
        *encoder("bert", ours.depth),
        *linear("pooler.project", "bert.pooler.dense"),
        rename("words.bias", "cls.predictions.bias"),
        *linear("words.project", "cls.predictions.transform.dense"),
        *linear("words.norm", "cls.predictions.transform.LayerNorm"),
        *linear("next_sentence", "cls.seq_relationship"),
    ]


def encoder(prefix: str, depth: int) -> list[Rename]:
    """Embedding and blocks, which RoBERTa names alike."""
    embeddings = f"{prefix}.embeddings"
    out = [
        rename("embed.words.weight", f"{embeddings}.word_embeddings.weight"),
        rename("embed.positions.weight", f"{embeddings}.position_embeddings.weight"),
        rename("embed.segments.weight", f"{embeddings}.token_type_embeddings.weight"),
        *linear("embed.norm", f"{embeddings}.LayerNorm"),
    ]
    for i in range(depth):
        block, layer = f"transformer.blocks.{i}", f"{prefix}.encoder.layer.{i}"
        qkv = (f"{layer}.attention.self.{name}" for name in ("query", "key", "value"))
        out += [
            *linear(f"{block}.attention.qkv", *qkv),
            *linear(f"{block}.attention.output", f"{layer}.attention.output.dense"),
            *linear(f"{block}.attention_norm", f"{layer}.attention.output.LayerNorm"),
            *linear(f"{block}.mlp.widen", f"{layer}.intermediate.dense"),
            *linear(f"{block}.mlp.narrow", f"{layer}.output.dense"),
            *linear(f"{block}.mlp_norm", f"{layer}.output.LayerNorm"),
        ]
    return out
