"""GPT-2 as `GPT2LMHeadModel`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from showtell.hub.huggingface.rename import Rename, linear, rename
from showtell.hub.huggingface.setting import activation, expect
from showtell.systems.gpt import GPT, GPTConfig

MODEL_TYPES = ("gpt2",)
SYSTEMS = (GPT,)


def config_from(theirs: Mapping[str, Any], names: set[str]) -> GPTConfig:
    """Our config."""
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
    """Their `config.json`, from our config."""
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
    redundant = (".attn.bias", ".attn.masked_bias", "lm_head.weight")
    return {
        name if name.startswith("transformer.") else f"transformer.{name}": tensor
        for name, tensor in found.items()
        if not name.endswith(redundant)
    }


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
