"""DistilBERT under the names of `DistilBertModel`: BERT's encoder, half as deep, without segments or pooler.

Source: Sanh et al. 2019, "DistilBERT, a distilled version of BERT", section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from showtell.errors import UsageError
from showtell.hub.huggingface.rename import Rename, linear, rename
from showtell.hub.huggingface.setting import activation
from showtell.systems.bert import BERTEncoder, BERTEncoderConfig

MODEL_TYPES = ("distilbert",)
SYSTEMS = (BERTEncoder,)
EPS = 1e-12


def config_from(theirs: Mapping[str, Any], names: set[str]) -> BERTEncoderConfig:
    """Our configuration; where `sentence_pooling` is silent, a text is the mean of its words."""
    return BERTEncoderConfig(
        vocab_size=theirs["vocab_size"],
        width=theirs["dim"],
        depth=theirs["n_layers"],
        num_heads=theirs["n_heads"],
        mlp_dim=theirs["hidden_dim"],
        max_length=theirs["max_position_embeddings"],
        num_segments=0,
        activation=activation(theirs["activation"]),
        eps=EPS,
        pooler=False,
        pooling="first" if theirs.get("sentence_pooling") == "cls" else "mean",
    )


def config_to(ours: BERTEncoderConfig) -> dict[str, Any]:
    """Their `config.json`."""
    if ours.num_segments or ours.pooler or ours.eps != EPS:
        raise UsageError("the reference's DistilBERT has no segments, no pooler, and norms of epsilon 1e-12")
    return {
        "model_type": "distilbert",
        "architectures": ["DistilBertModel"],
        "vocab_size": ours.vocab_size,
        "dim": ours.width,
        "n_layers": ours.depth,
        "n_heads": ours.num_heads,
        "hidden_dim": ours.mlp_dim,
        "max_position_embeddings": ours.max_length,
        "activation": {"gelu_tanh": "gelu_pytorch_tanh"}.get(ours.activation, ours.activation),
        "dropout": ours.dropout,
        "attention_dropout": 0.0,
        "sentence_pooling": "cls" if ours.pooling == "first" else "mean",
    }


def tidy(found: dict[str, Tensor], theirs: Mapping[str, Any]) -> dict[str, Tensor]:
    """As they are."""
    return found


def table(ours: BERTEncoderConfig) -> list[Rename]:
    """Every tensor."""
    out = [
        rename("embed.words.weight", "embeddings.word_embeddings.weight"),
        rename("embed.positions.weight", "embeddings.position_embeddings.weight"),
        *linear("embed.norm", "embeddings.LayerNorm"),
    ]
    for i in range(ours.depth):
        block, layer = f"transformer.blocks.{i}", f"transformer.layer.{i}"
        qkv = (f"{layer}.attention.{name}_lin" for name in "qkv")
        out += [
            *linear(f"{block}.attention.qkv", *qkv),
            *linear(f"{block}.attention.output", f"{layer}.attention.out_lin"),
            *linear(f"{block}.attention_norm", f"{layer}.sa_layer_norm"),
            *linear(f"{block}.mlp.widen", f"{layer}.ffn.lin1"),
            *linear(f"{block}.mlp.narrow", f"{layer}.ffn.lin2"),
            *linear(f"{block}.mlp_norm", f"{layer}.output_layer_norm"),
        ]
    return out
