"""GPT-2 as `GPT2LMHeadModel`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from showtell.errors import UsageError
from showtell.hub.huggingface.names import align, untie
from showtell.hub.huggingface.rename import Rename, linear, rename
from showtell.hub.huggingface.setting import activation, expect
from showtell.systems.gpt import GPT, GPTConfig

MODEL_TYPES = ("gpt2",)
SYSTEMS = (GPT,)
ANCHOR, BASE = "wte.weight", "transformer."
MARK = "h.0.attn.c_attn.weight"
# The reference's own, which its older files leave out, and the names that it takes for them.
DEFAULTS: dict[str, Any] = {
    "vocab_size": 50257,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_positions": 1024,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
}
SYNONYMS = {
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "max_position_embeddings": "n_positions",
}


def config_from(theirs: Mapping[str, Any], names: set[str]) -> GPTConfig:
    """Our config."""
    theirs = DEFAULTS | {SYNONYMS.get(name, name): value for name, value in theirs.items()}
    expect(
        theirs,
        add_cross_attention=False,
        scale_attn_weights=True,
        scale_attn_by_inverse_layer_idx=False,
        tie_word_embeddings=True,
    )
    return GPTConfig(
        vocab_size=theirs["vocab_size"],
        width=theirs["n_embd"],
        depth=theirs["n_layer"],
        num_heads=theirs["n_head"],
        mlp_dim=theirs.get("n_inner") or 4 * theirs["n_embd"],
        max_length=theirs["n_positions"],
        activation=activation(theirs["activation_function"]),
        eps=theirs["layer_norm_epsilon"],
    )


def config_to(ours: GPTConfig) -> dict[str, Any]:
    """Their `config.json`, from our config. Raises `UsageError` for an OPT."""
    if ours.first_position:
        raise UsageError(f"GPT-2 of transformers has first_position 0, not {ours.first_position}")
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": ours.vocab_size,
        "n_embd": ours.width,
        "n_layer": ours.depth,
        "n_head": ours.num_heads,
        "n_inner": ours.mlp_dim,
        "n_positions": ours.max_length,
        "activation_function": {"gelu_tanh": "gelu_new"}.get(ours.activation, ours.activation),
        "layer_norm_epsilon": ours.eps,
        "resid_pdrop": ours.dropout,
        "embd_pdrop": ours.dropout,
        "attn_pdrop": 0.0,
    }


def tidy(found: dict[str, Tensor], theirs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Their tensors with the prefix that the first release lacks; no mask buffers, no tied output."""
    found = align(found, ANCHOR, BASE, ("lm_head.",), always=True)
    found = untie(found, {"lm_head.weight": BASE + ANCHOR})
    return {n: t for n, t in found.items() if not n.endswith((".attn.bias", ".attn.masked_bias"))}


def table(ours: GPTConfig) -> list[Rename]:
    """The rename table of all tensors; their linear layers store the weight transposed."""
    out = [
        rename("embed.tokens.weight", "transformer.wte.weight"),
        rename("embed.positions.weight", "transformer.wpe.weight"),
        *linear("transformer.norm", "transformer.ln_f"),
    ]
    for i in range(ours.depth):
        block, layer = f"transformer.blocks.{i}", f"transformer.h.{i}"
        out += [
            *linear(f"{block}.attention.qkv", f"{layer}.attn.c_attn", transposed=True),
            *linear(f"{block}.attention.output", f"{layer}.attn.c_proj", transposed=True),
            *linear(f"{block}.attention_norm", f"{layer}.ln_1"),
            *linear(f"{block}.mlp.up", f"{layer}.mlp.c_fc", transposed=True),
            *linear(f"{block}.mlp.down", f"{layer}.mlp.c_proj", transposed=True),
            *linear(f"{block}.mlp_norm", f"{layer}.ln_2"),
        ]
    return out
