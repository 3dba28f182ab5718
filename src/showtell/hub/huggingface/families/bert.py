"""BERT as `BertForPreTraining` or `BertForMaskedLM`, its encoder alone as `BertModel`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from showtell.errors import UsageError
from showtell.hub.huggingface.declared import without_spare
from showtell.hub.huggingface.names import align, untie
from showtell.hub.huggingface.pooling import pooling, sentence_pooling
from showtell.hub.huggingface.rename import Rename, linear, rename
from showtell.hub.huggingface.setting import expect, sizes_from, sizes_to
from showtell.systems.bert import BERT, BERTConfig, BERTEncoder, BERTEncoderConfig

MODEL_TYPES = ("bert",)
SYSTEMS = (BERT, BERTEncoder)
ANCHOR, BASE = "embeddings.word_embeddings.weight", "bert."
MARK = "embeddings.token_type_embeddings.weight"
# The reference's own, which its older files leave out.
DEFAULTS: dict[str, Any] = {
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
}
TIED = {
    "cls.predictions.decoder.weight": BASE + ANCHOR,
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}
HEADS: dict[str, tuple[str, ...]] = {
    "BertModel": (),
    "BertForMaskedLM": ("cls.predictions.",),
    "BertForPreTraining": ("cls.predictions.", "cls.seq_relationship."),
}


def config_from(theirs: Mapping[str, Any], names: set[str]) -> BERTEncoderConfig:
    """Our config; the ids of special tokens are those of the released vocabulary.

    An encoder alone pools by its `sentence_pooling`; the default is its pooler if it has one, else the mean.
    """
    theirs = DEFAULTS | dict(theirs)
    expect(theirs, is_decoder=False, add_cross_attention=False, tie_word_embeddings=True)
    sizes = {
        "vocab_size": theirs["vocab_size"],
        "max_length": theirs["max_position_embeddings"],
        "num_segments": theirs["type_vocab_size"],
        **sizes_from(theirs),
    }
    if not _headless(names):
        pooler = "cls.seq_relationship.weight" in names
        return BERTConfig(**sizes, pooler=pooler, pooling=pooling(theirs, "cls"))
    pooler = "pooler.dense.weight" in names
    return BERTEncoderConfig(**sizes, pooler=pooler, pooling=pooling(theirs, "cls" if pooler else "mean"))


def config_to(ours: BERTEncoderConfig) -> dict[str, Any]:
    """Their `config.json`, from our config."""
    if not ours.num_segments or ours.first_position:
        raise UsageError("BERT of transformers has at least one segment, and positions from 0")
    heads = isinstance(ours, BERTConfig)
    # Without the setting, an encoder with a pooler pools by it; with "cls" it reads [CLS] and has no pooler.
    by_pooler = ours.pooling == "first" and ours.pooler
    explicit = ours.pooling != "first" or not (heads or by_pooler)
    if ours.head and (heads or by_pooler):
        raise UsageError("sentence-transformers has layers after a pooling of tokens alone")
    return {
        "model_type": "bert",
        "architectures": [_architecture(ours)],
        "vocab_size": ours.vocab_size,
        "max_position_embeddings": ours.num_positions or ours.max_length,
        "type_vocab_size": ours.num_segments,
        "hidden_dropout_prob": ours.dropout,
        "attention_probs_dropout_prob": 0.0,
        **(sentence_pooling(ours) if explicit else {}),
        **sizes_to(ours),
    }


def _architecture(ours: BERTEncoderConfig) -> str:
    if not isinstance(ours, BERTConfig):
        return "BertModel"
    return "BertForPreTraining" if ours.pooler else "BertForMaskedLM"


def tidy(found: dict[str, Tensor], theirs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Their tensors without redundant ones; TensorFlow's gamma and beta are called weight and bias."""
    old = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
    heads = ("cls.predictions.",)
    found = align(without_spare(align(found, ANCHOR, BASE, heads), theirs, HEADS), ANCHOR, BASE, heads)
    headless = _headless(set(found))
    found = found if headless else untie(found, TIED)
    judges = "cls.seq_relationship.weight" in found
    out = {}
    for name, tensor in found.items():
        if name.endswith("position_ids") or (name.startswith("bert.pooler.") and not (headless or judges)):
            continue
        for before, after in old.items():
            name = name.replace(before, after)
        # Trained for next-sentence prediction; a sentence encoder reads [CLS] itself.
        if name.startswith("pooler.") and theirs.get("sentence_pooling") == "cls":
            continue
        out[name] = tensor
    return out


def _headless(names: set[str]) -> bool:
    return not any(name.startswith("cls.predictions.") for name in names)


def table(ours: BERTEncoderConfig) -> list[Rename]:
    """The rename table of all tensors."""
    heads = isinstance(ours, BERTConfig)
    prefix = "bert." if heads else ""
    out = encoder(prefix, ours.depth)
    if ours.pooler:
        out += linear("pooler.project", f"{prefix}pooler.dense")
    if heads:
        out += [
            rename("mlm_head.bias", "cls.predictions.bias"),
            *linear("mlm_head.project", "cls.predictions.transform.dense"),
            *linear("mlm_head.norm", "cls.predictions.transform.LayerNorm"),
        ]
        if ours.pooler:
            out += linear("next_sentence", "cls.seq_relationship")
    return out


def encoder(prefix: str, depth: int) -> list[Rename]:
    """Embedding and blocks, which RoBERTa names in the same way."""
    embeddings = f"{prefix}embeddings"
    out = [
        rename("embed.tokens.weight", f"{embeddings}.word_embeddings.weight"),
        rename("embed.positions.weight", f"{embeddings}.position_embeddings.weight"),
        rename("embed.segments.weight", f"{embeddings}.token_type_embeddings.weight"),
        *linear("embed.norm", f"{embeddings}.LayerNorm"),
    ]
    for i in range(depth):
        block, layer = f"transformer.blocks.{i}", f"{prefix}encoder.layer.{i}"
        qkv = (f"{layer}.attention.self.{name}" for name in ("query", "key", "value"))
        out += [
            *linear(f"{block}.attention.qkv", *qkv),
            *linear(f"{block}.attention.output", f"{layer}.attention.output.dense"),
            *linear(f"{block}.attention_norm", f"{layer}.attention.output.LayerNorm"),
            *linear(f"{block}.mlp.up", f"{layer}.intermediate.dense"),
            *linear(f"{block}.mlp.down", f"{layer}.output.dense"),
            *linear(f"{block}.mlp_norm", f"{layer}.output.LayerNorm"),
        ]
    return out
