"""OPT as `OPTForCausalLM`: a GPT with ReLU, its positions from the third row of their table.

Of the published sizes 350M alone has another shape, norms after the residual connections, and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from showtell.errors import UsageError
from showtell.hub.huggingface.names import align, untie
from showtell.hub.huggingface.rename import Rename, linear, rename
from showtell.hub.huggingface.setting import activation, expect
from showtell.systems.gpt import GPT, GPTConfig

MODEL_TYPES = ("opt",)
SYSTEMS = (GPT,)
ANCHOR, BASE = "decoder.embed_tokens.weight", "model."
MARK = "decoder.layers.0.self_attn_layer_norm.weight"
FIRST_POSITION, EPS = 2, 1e-5
"""Of every OPT: neither is a setting."""
# The reference's own, which its files leave out.
DEFAULTS: dict[str, Any] = {
    "vocab_size": 50272,
    "hidden_size": 768,
    "ffn_dim": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 2048,
    "activation_function": "relu",
}


def config_from(theirs: Mapping[str, Any], names: set[str]) -> GPTConfig:
    """Our config."""
    theirs = DEFAULTS | dict(theirs)
    expect(
        theirs,
        do_layer_norm_before=True,
        _remove_final_layer_norm=False,
        layer_norm_elementwise_affine=True,
        enable_bias=True,
        tie_word_embeddings=True,
    )
    if theirs.get("word_embed_proj_dim"):
        expect(theirs, word_embed_proj_dim=theirs["hidden_size"])
    return GPTConfig(
        vocab_size=theirs["vocab_size"],
        width=theirs["hidden_size"],
        depth=theirs["num_hidden_layers"],
        num_heads=theirs["num_attention_heads"],
        mlp_dim=theirs["ffn_dim"],
        max_length=theirs["max_position_embeddings"],
        activation=activation(theirs["activation_function"]),
        eps=EPS,
        first_position=FIRST_POSITION,
    )


def config_to(ours: GPTConfig) -> dict[str, Any]:
    """Their `config.json`, from our config. Raises `UsageError` for a GPT that is no OPT."""
    if (ours.first_position, ours.eps) != (FIRST_POSITION, EPS):
        raise UsageError(
            f"OPT of transformers has first_position {FIRST_POSITION} and eps {EPS}, "
            f"not {ours.first_position} and {ours.eps}"
        )
    return {
        "model_type": "opt",
        "architectures": ["OPTForCausalLM"],
        "vocab_size": ours.vocab_size,
        "hidden_size": ours.width,
        "word_embed_proj_dim": ours.width,
        "ffn_dim": ours.mlp_dim,
        "num_hidden_layers": ours.depth,
        "num_attention_heads": ours.num_heads,
        "max_position_embeddings": ours.max_length,
        "activation_function": {"gelu_tanh": "gelu_new"}.get(ours.activation, ours.activation),
        "do_layer_norm_before": True,
        "enable_bias": True,
        "layer_norm_elementwise_affine": True,
        "dropout": ours.dropout,
        "attention_dropout": 0.0,
        "layerdrop": 0.0,
        "tie_word_embeddings": True,
    }


def tidy(found: dict[str, Tensor], theirs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Their tensors without a tied output."""
    return untie(align(found, ANCHOR, BASE, ("lm_head.",), always=True), {"lm_head.weight": BASE + ANCHOR})


def table(ours: GPTConfig) -> list[Rename]:
    """The rename table of all tensors."""
    decoder = "model.decoder"
    out = [
        rename("embed.tokens.weight", f"{decoder}.embed_tokens.weight"),
        rename("embed.positions.weight", f"{decoder}.embed_positions.weight"),
        *linear("transformer.norm", f"{decoder}.final_layer_norm"),
    ]
    for i in range(ours.depth):
        block, layer = f"transformer.blocks.{i}", f"{decoder}.layers.{i}"
        out += [
            *linear(f"{block}.attention.qkv", *(f"{layer}.self_attn.{name}_proj" for name in "qkv")),
            *linear(f"{block}.attention.output", f"{layer}.self_attn.out_proj"),
            *linear(f"{block}.attention_norm", f"{layer}.self_attn_layer_norm"),
            *linear(f"{block}.mlp.up", f"{layer}.fc1"),
            *linear(f"{block}.mlp.down", f"{layer}.fc2"),
            *linear(f"{block}.mlp_norm", f"{layer}.final_layer_norm"),
        ]
    return out
