"""A Llama and its tokenizer out of a GGUF file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor

from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import UserError
from showtell.hub.gguf import GGUF
from showtell.hub.huggingface.families.llama import table
from showtell.hub.huggingface.rename import read_in
from showtell.nn.unfilled import Unfilled
from showtell.systems.llama import Llama, LlamaConfig

NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
"""Of the tensors of a block, as the Hugging Face layout has them."""
OUTSIDE = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
SPECIAL = 3
"""The type of a special token."""
# As llama.cpp splits texts for it: each digit alone, then GPT-2's words.
PRE_TOKENIZER = "smollm"


def llama_of(file: GGUF, path: Path) -> Llama:
    """The system; raises `UserError` naming the setting or tensor that is missing or unfit."""
    try:
        config = _config(file)
    except KeyError as error:
        raise UserError(f"{path} lacks the setting {error}, which a Llama has") from error
    with Unfilled():
        system = Llama(config)
    heads = {"attn_q": config.num_heads, "attn_k": config.num_kv_heads}
    found = {}
    for name, tensor in file.tensors.items():
        part = name.split(".")[-2]
        found[_renamed(name)] = _halves(tensor, heads[part]) if part in heads else tensor
    read_in(found, system.state_dict(), table(config), str(path))
    return system.eval()


def tokenizer_of(file: GGUF, path: Path) -> SubwordTokenizer:
    """The byte-pair tokenizer; raises `UserError` for one that splits texts in another way."""
    said = {name: file.settings.get(f"tokenizer.ggml.{name}") for name in ("model", "pre")}
    if said != {"model": "gpt2", "pre": PRE_TOKENIZER}:
        raise UserError(f"{path} has the tokenizer {said}; byte pairs after {PRE_TOKENIZER!r} are read")
    tokens, kinds, merges = (file.settings[f"tokenizer.ggml.{n}"] for n in ("tokens", "token_type", "merges"))
    vocabulary = {token: i for i, token in enumerate(tokens)}
    pairs: list[Any] = [tuple(merge.split(" ")) for merge in merges]
    try:
        tokenizer = Tokenizer(models.BPE(vocabulary, pairs))
    except Exception as error:  # `tokenizers` raises nothing narrower
        raise UserError(f"{path} holds a damaged vocabulary: {error}") from error
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = (token for token, kind in zip(tokens, kinds, strict=True) if kind == SPECIAL)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return SubwordTokenizer(tokenizer)


def _config(file: GGUF) -> LlamaConfig:
    def said(name: str) -> Any:
        return file.settings[f"llama.{name}"]

    return LlamaConfig(
        vocab_size=len(file.settings["tokenizer.ggml.tokens"]),
        width=said("embedding_length"),
        depth=said("block_count"),
        num_heads=said("attention.head_count"),
        num_kv_heads=said("attention.head_count_kv"),
        mlp_dim=said("feed_forward_length"),
        max_length=said("context_length"),
        theta=said("rope.freq_base"),
        tied="output.weight" not in file.tensors,
        eps=float(f"{said('attention.layer_norm_rms_epsilon'):.6g}"),  # stored as float32
    )


def _renamed(name: str) -> str:
    """A tensor's name in the Hugging Face layout; one that is unknown becomes none of a Llama's."""
    stem, kind = name.rsplit(".", 1)
    if stem in OUTSIDE:
        return f"{OUTSIDE[stem]}.{kind}"
    block, _, part = stem.removeprefix("blk.").partition(".")
    return f"model.layers.{block}.{NAMES[part]}.{kind}" if part in NAMES else f"model.{name}"


def _halves(weight: Tensor, heads: int) -> Tensor:
    """Rows of queries or keys: a GGUF file has the two channels that are turned together side by side."""
    return weight.unflatten(0, (heads, -1, 2)).transpose(1, 2).reshape(weight.shape)
