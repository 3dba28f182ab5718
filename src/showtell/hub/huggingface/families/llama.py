"""LLaMA as `LlamaForCausalLM`: also Llama 2, TinyLlama, SmolLM2 and others of that shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from showtell.hub.huggingface.names import align, untie
from showtell.hub.huggingface.rename import Rename, rename
from showtell.hub.huggingface.setting import expect
from showtell.systems.llama import Llama, LlamaConfig

MODEL_TYPES = ("llama",)
SYSTEMS = (Llama,)
ANCHOR, BASE = "embed_tokens.weight", "model."
MARK = "layers.0.mlp.gate_proj.weight"
# The reference's own, which its older files leave out.
DEFAULTS: dict[str, Any] = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
}


def config_from(theirs: Mapping[str, Any], names: set[str]) -> LlamaConfig:
    """Our config."""
    theirs = DEFAULTS | dict(theirs)
    heads = theirs["num_attention_heads"]
    expect(theirs, hidden_act="silu", attention_bias=False, mlp_bias=False)
    if theirs.get("head_dim"):
        expect(theirs, head_dim=theirs["hidden_size"] // heads)
    # Version 5 of the reference has one object; before, the base stood alone.
    rotary = theirs.get("rope_parameters") or theirs.get("rope_scaling") or {}
    expect({"rope_type": rotary.get("rope_type", rotary.get("type", "default"))}, rope_type="default")
    return LlamaConfig(
        vocab_size=theirs["vocab_size"],
        width=theirs["hidden_size"],
        depth=theirs["num_hidden_layers"],
        num_heads=heads,
        num_kv_heads=theirs.get("num_key_value_heads") or heads,
        mlp_dim=theirs["intermediate_size"],
        max_length=theirs["max_position_embeddings"],
        theta=float(rotary.get("rope_theta") or theirs.get("rope_theta") or 10000.0),
        tied=theirs["tie_word_embeddings"],
        eps=theirs["rms_norm_eps"],
    )


def config_to(ours: LlamaConfig) -> dict[str, Any]:
    """Their `config.json`, from our config."""
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": ours.vocab_size,
        "hidden_size": ours.width,
        "intermediate_size": ours.mlp_dim,
        "num_hidden_layers": ours.depth,
        "num_attention_heads": ours.num_heads,
        "num_key_value_heads": ours.num_kv_heads,
        "hidden_act": "silu",
        "max_position_embeddings": ours.max_length,
        "rms_norm_eps": ours.eps,
        "rope_theta": ours.theta,  # as versions before 5 read it
        "rope_parameters": {"rope_type": "default", "rope_theta": ours.theta},
        "tie_word_embeddings": ours.tied,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "mlp_bias": False,
    }


def tidy(found: dict[str, Tensor], theirs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Their tensors without a tied output, and the buffers of old files."""
    found = align(found, ANCHOR, BASE, ("lm_head.",), always=True)
    if theirs.get("tie_word_embeddings", DEFAULTS["tie_word_embeddings"]):
        found = untie(found, {"lm_head.weight": BASE + ANCHOR})
    return {name: tensor for name, tensor in found.items() if not name.endswith(".rotary_emb.inv_freq")}


def table(ours: LlamaConfig) -> list[Rename]:
    """The rename table of all tensors."""
    width, shared = ours.width, ours.width // ours.num_heads * ours.num_kv_heads
    out = [rename("embed.weight", "model.embed_tokens.weight"), rename("norm.weight", "model.norm.weight")]
    if not ours.tied:
        out.append(rename("head.weight", "lm_head.weight"))
    for i in range(ours.depth):
        block, layer = f"blocks.{i}", f"model.layers.{i}"
        out += [
            rename(
                f"{block}.attention.qkv.weight",
                *(f"{layer}.self_attn.{name}_proj.weight" for name in "qkv"),
                rows=(width, shared, shared),
            ),
            rename(f"{block}.attention.output.weight", f"{layer}.self_attn.o_proj.weight"),
            rename(f"{block}.attention_norm.weight", f"{layer}.input_layernorm.weight"),
            rename(f"{block}.mlp.up.weight", f"{layer}.mlp.gate_proj.weight", f"{layer}.mlp.up_proj.weight"),
            rename(f"{block}.mlp.down.weight", f"{layer}.mlp.down_proj.weight"),
            rename(f"{block}.mlp_norm.weight", f"{layer}.post_attention_layernorm.weight"),
        ]
    return out
