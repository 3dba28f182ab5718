"""T5 as `T5ForConditionalGeneration`: also version 1.1 and Flan-T5, of sizes whose heads fill the width."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from showtell.errors import UsageError
from showtell.hub.huggingface.names import align, untie
from showtell.hub.huggingface.rename import Rename, rename
from showtell.hub.huggingface.setting import expect
from showtell.nn.feedforward import Activation
from showtell.systems.t5 import T5, T5Config

MODEL_TYPES = ("t5",)
SYSTEMS = (T5,)
ANCHOR = "shared.weight"
MARK = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
UNREAD = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
"""Of older files: a bias that cross-attention never had."""
# The reference's own, which its files leave out.
DEFAULTS: dict[str, Any] = {
    "vocab_size": 32128,
    "d_model": 512,
    "d_kv": 64,
    "d_ff": 2048,
    "num_layers": 6,
    "num_heads": 8,
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "layer_norm_epsilon": 1e-6,
    "feed_forward_proj": "relu",
}
ACTIVATIONS: dict[tuple[str, str], Activation] = {
    ("relu", "relu"): "relu",
    ("gated-gelu", "gelu_new"): "geglu_tanh",
    ("gated-gelu", "gelu"): "geglu",
}
"""By `feed_forward_proj` and `dense_act_fn`, which BLIP-2 sets apart."""


def config_from(theirs: Mapping[str, Any], names: set[str]) -> T5Config:
    """Our config."""
    theirs = DEFAULTS | dict(theirs)
    expect(theirs, d_kv=theirs["d_model"] // theirs["num_heads"])
    kind = theirs["feed_forward_proj"]
    own = {"gated-gelu": "gelu_new"}.get(kind, kind)
    dense = theirs.get("dense_act_fn") or own
    if (kind, dense) not in ACTIVATIONS:
        raise ValueError(f"feed_forward_proj {kind!r} with dense_act_fn {dense!r} is not supported")
    return T5Config(
        vocab_size=theirs["vocab_size"],
        width=theirs["d_model"],
        depth=theirs["num_layers"],
        decoder_depth=theirs.get("num_decoder_layers") or theirs["num_layers"],
        num_heads=theirs["num_heads"],
        mlp_dim=theirs["d_ff"],
        activation=ACTIVATIONS[kind, dense],
        num_buckets=theirs["relative_attention_num_buckets"],
        max_distance=theirs["relative_attention_max_distance"],
        max_length=theirs.get("n_positions") or 512,
        tied=_tied(theirs),
        eps=theirs["layer_norm_epsilon"],
    )


def _tied(theirs: Mapping[str, Any]) -> bool:
    """Whether the token embedding computes the logits; newer files say it by the scale that this needs."""
    tied: bool = theirs.get("scale_decoder_outputs", theirs.get("tie_word_embeddings", True))
    return tied


def config_to(ours: T5Config) -> dict[str, Any]:
    """Their `config.json`, from our config. Raises `UsageError` for an activation that it does not have."""
    kinds = {activation: names for names, activation in ACTIVATIONS.items()}
    if ours.activation not in kinds:
        raise UsageError(f"T5 of transformers has no activation {ours.activation!r}")
    kind, dense = kinds[ours.activation]
    return {
        "model_type": "t5",
        "architectures": ["T5ForConditionalGeneration"],
        "is_encoder_decoder": True,
        "vocab_size": ours.vocab_size,
        "d_model": ours.width,
        "d_kv": ours.width // ours.num_heads,
        "d_ff": ours.mlp_dim,
        "num_layers": ours.depth,
        "num_decoder_layers": ours.decoder_depth,
        "num_heads": ours.num_heads,
        "relative_attention_num_buckets": ours.num_buckets,
        "relative_attention_max_distance": ours.max_distance,
        "n_positions": ours.max_length,
        "layer_norm_epsilon": ours.eps,
        "feed_forward_proj": kind,
        "dense_act_fn": dense,
        "is_gated_act": kind.startswith("gated"),
        "decoder_start_token_id": 0,
        "tie_word_embeddings": ours.tied,
        "scale_decoder_outputs": ours.tied,
    }


def tidy(found: dict[str, Tensor], theirs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Their tensors without copies of the token embedding."""
    copies = {f"{part}.embed_tokens.weight": ANCHOR for part in ("encoder", "decoder")}
    if _tied(theirs):
        copies["lm_head.weight"] = ANCHOR
    found = untie(align(found, ANCHOR, "", always=True), copies)
    return {name: tensor for name, tensor in found.items() if name != UNREAD}


def table(ours: T5Config) -> list[Rename]:
    """The rename table of all tensors."""
    bias = "block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    out = [
        rename("embed.weight", ANCHOR),
        rename("positions.bias.weight", f"encoder.{bias}"),
        rename("norm.weight", "encoder.final_layer_norm.weight"),
        rename("decoder.positions.bias.weight", f"decoder.{bias}"),
        rename("decoder.norm.weight", "decoder.final_layer_norm.weight"),
    ]
    if not ours.tied:
        out.append(rename("head.weight", "lm_head.weight"))
    for i in range(ours.depth):
        block, layers = f"blocks.{i}", f"encoder.block.{i}.layer"
        out += [*_own(block, layers), *_mlp(block, f"{layers}.1", ours)]
    for i in range(ours.decoder_depth):
        block, layers = f"decoder.blocks.{i}", f"decoder.block.{i}.layer"
        across = f"{layers}.1.EncDecAttention"
        out += [
            *_own(block, layers),
            rename(f"{block}.cross_attention.query.weight", f"{across}.q.weight"),
            rename(f"{block}.cross_attention.key_value.weight", f"{across}.k.weight", f"{across}.v.weight"),
            rename(f"{block}.cross_attention.output.weight", f"{across}.o.weight"),
            rename(f"{block}.cross_attention_norm.weight", f"{layers}.1.layer_norm.weight"),
            *_mlp(block, f"{layers}.2", ours),
        ]
    return out


def _own(block: str, layers: str) -> list[Rename]:
    own = f"{layers}.0.SelfAttention"
    return [
        rename(f"{block}.attention.qkv.weight", *(f"{own}.{name}.weight" for name in "qkv")),
        rename(f"{block}.attention.output.weight", f"{own}.o.weight"),
        rename(f"{block}.attention_norm.weight", f"{layers}.0.layer_norm.weight"),
    ]


def _mlp(block: str, layer: str, ours: T5Config) -> list[Rename]:
    dense = f"{layer}.DenseReluDense"
    up = ("wi",) if ours.activation == "relu" else ("wi_0", "wi_1")
    return [
        rename(f"{block}.mlp.up.weight", *(f"{dense}.{name}.weight" for name in up)),
        rename(f"{block}.mlp.down.weight", f"{dense}.wo.weight"),
        rename(f"{block}.mlp_norm.weight", f"{layer}.layer_norm.weight"),
    ]
