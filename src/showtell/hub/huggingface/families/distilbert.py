"""DistilBERT as `DistilBertModel`: BERT's encoder, half as deep, without segments or pooler.

With the head that predicts masked tokens, `DistilBertForMaskedLM`, it is a BERT without segments or pooler.

Source: Sanh et al. 2019, "DistilBERT, a distilled version of BERT", section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from showtell.errors import UsageError
from showtell.hub.huggingface.declared import without_spare
from showtell.hub.huggingface.names import align, untie
from showtell.hub.huggingface.pooling import pooling, sentence_pooling
from showtell.hub.huggingface.rename import Rename, linear, rename
from showtell.hub.huggingface.setting import activation, expect
from showtell.systems.bert import BERT, BERTConfig, BERTEncoder, BERTEncoderConfig

MODEL_TYPES = ("distilbert",)
SYSTEMS = (BERT, BERTEncoder)
HEADS: dict[str, tuple[str, ...]] = {"DistilBertModel": (), "DistilBertForMaskedLM": ("vocab_",)}
EPS = 1e-12
ANCHOR, BASE = "embeddings.word_embeddings.weight", "distilbert."
MARK = "transformer.layer.0.attention.q_lin.weight"
# The reference's own, which its older files leave out, and the names that it takes for them.
DEFAULTS: dict[str, Any] = {
    "vocab_size": 30522,
    "dim": 768,
    "n_layers": 6,
    "n_heads": 12,
    "hidden_dim": 3072,
    "max_position_embeddings": 512,
    "activation": "gelu",
}
SYNONYMS = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"}


def config_from(theirs: Mapping[str, Any], names: set[str]) -> BERTEncoderConfig:
    """Our config; without a `sentence_pooling`, a text is the mean of its tokens."""
    theirs = DEFAULTS | {SYNONYMS.get(name, name): value for name, value in theirs.items()}
    expect(theirs, is_decoder=False, add_cross_attention=False, tie_word_embeddings=True)
    sizes = {
        "vocab_size": theirs["vocab_size"],
        "width": theirs["dim"],
        "depth": theirs["n_layers"],
        "num_heads": theirs["n_heads"],
        "mlp_dim": theirs["hidden_dim"],
        "max_length": theirs["max_position_embeddings"],
        "num_segments": 0,
        "activation": activation(theirs["activation"]),
        "eps": EPS,
        "pooler": False,
        "pooling": pooling(theirs),
    }
    return BERTConfig(**sizes) if "vocab_transform.weight" in names else BERTEncoderConfig(**sizes)


def config_to(ours: BERTEncoderConfig) -> dict[str, Any]:
    """Their `config.json`, from our config."""
    if ours.num_segments or ours.first_position or ours.pooler or ours.eps != EPS:
        raise UsageError("DistilBERT of transformers has no segments, no pooler, and norms of epsilon 1e-12")
    return {
        "model_type": "distilbert",
        "architectures": ["DistilBertForMaskedLM" if isinstance(ours, BERTConfig) else "DistilBertModel"],
        "vocab_size": ours.vocab_size,
        "dim": ours.width,
        "n_layers": ours.depth,
        "n_heads": ours.num_heads,
        "hidden_dim": ours.mlp_dim,
        "max_position_embeddings": ours.num_positions or ours.max_length,
        "activation": {"gelu_tanh": "gelu_pytorch_tanh"}.get(ours.activation, ours.activation),
        "dropout": ours.dropout,
        "attention_dropout": 0.0,
        **sentence_pooling(ours),
    }


def tidy(found: dict[str, Tensor], theirs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Their tensors without the tied output, position ids of older versions and prefixes of wrappers."""
    heads = ("vocab_",)
    found = align(without_spare(align(found, ANCHOR, BASE, heads), theirs, HEADS), ANCHOR, BASE, heads)
    if "vocab_transform.weight" in found:
        found = untie(found, {"vocab_projector.weight": BASE + ANCHOR})
    return {name: tensor for name, tensor in found.items() if not name.endswith("position_ids")}


def table(ours: BERTEncoderConfig) -> list[Rename]:
    """The rename table of all tensors."""
    heads = isinstance(ours, BERTConfig)
    prefix = "distilbert." if heads else ""
    out = [
        rename("embed.tokens.weight", f"{prefix}embeddings.word_embeddings.weight"),
        rename("embed.positions.weight", f"{prefix}embeddings.position_embeddings.weight"),
        *linear("embed.norm", f"{prefix}embeddings.LayerNorm"),
    ]
    if heads:
        out += [
            rename("mlm_head.bias", "vocab_projector.bias"),
            *linear("mlm_head.project", "vocab_transform"),
            *linear("mlm_head.norm", "vocab_layer_norm"),
        ]
    for i in range(ours.depth):
        block, layer = f"transformer.blocks.{i}", f"{prefix}transformer.layer.{i}"
        qkv = (f"{layer}.attention.{name}_lin" for name in "qkv")
        out += [
            *linear(f"{block}.attention.qkv", *qkv),
            *linear(f"{block}.attention.output", f"{layer}.attention.out_lin"),
            *linear(f"{block}.attention_norm", f"{layer}.sa_layer_norm"),
            *linear(f"{block}.mlp.up", f"{layer}.ffn.lin1"),
            *linear(f"{block}.mlp.down", f"{layer}.ffn.lin2"),
            *linear(f"{block}.mlp_norm", f"{layer}.output_layer_norm"),
        ]
    return out
