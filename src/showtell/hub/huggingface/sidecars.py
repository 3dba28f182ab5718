"""The files next to weights and config that other libraries read: the tokenizer's settings, the pooling."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.hub.huggingface.pooling import pooling_file
from showtell.hub.huggingface.sentence import PROMPTS, place
from showtell.hub.huggingface.sentence_layers import FOLDERS, layer_config

POOLING = "1_Pooling/config.json"
EMPTY: Mapping[str, Any] = MappingProxyType({})


def tokenizer_config(tokenizer: SubwordTokenizer, max_length: int | None) -> dict[str, Any]:
    """`tokenizer_config.json` beside our `tokenizer.json`."""
    names = tokenizer.tokens
    roles = {
        "bos_token": tokenizer.start,
        "cls_token": tokenizer.start,
        "eos_token": tokenizer.end,
        "sep_token": tokenizer.end,
        "pad_token": tokenizer.pad,
        "unk_token": tokenizer.unknown,
        "mask_token": tokenizer.mask,
    }
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **({} if max_length is None else {"model_max_length": max_length}),
        **{role: names[i] for role, i in roles.items() if i is not None},
    }


def sentence_files(
    config: Any, described: Mapping[str, Any], texts: Mapping[str, Any] = EMPTY
) -> dict[str, Any]:
    """The files of `sentence-transformers`, by name, of an encoder whose `config.json` says how it pools.

    `texts` is what happens to a text before, as `read_sentence` found it.
    """
    pooling = described.get("sentence_pooling")
    if not pooling or not described["architectures"][0].endswith("Model"):
        return {}
    layers = [(place(i, layer), layer) for i, layer in enumerate(config.head)]
    kinds = {"": "Transformer", "1_Pooling": "Pooling"} | {
        path: FOLDERS[layer.kind] for path, layer in layers
    }
    kinds |= {f"{len(kinds) + i}_{kind}": kind for i, kind in enumerate(texts.get("unapplied", ()))}
    files: dict[str, Any] = {
        "modules.json": [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (path, kind) in enumerate(kinds.items())
        ],
        "sentence_bert_config.json": {
            "max_seq_length": config.max_length,
            "do_lower_case": texts.get("do_lower_case", False),
        },
        POOLING: pooling_file(pooling, config.width, texts.get("include_prompt", True)),
    }
    width = config.width * len(config.poolings)
    for path, layer in layers:
        if (content := layer_config(layer, width)) is not None:
            files[f"{path}/config.json"] = content
        width = layer.width if layer.kind == "dense" else width
    said = {name: texts[name] for name in PROMPTS if name in texts}
    if said:
        files["config_sentence_transformers.json"] = {"prompts": {}, "default_prompt_name": None} | said
    return files
