"""The files next to weights and config that other libraries read: the tokenizer's settings, the pooling."""

from __future__ import annotations

from typing import Any

from showtell.data.tokenizers.subword import SubwordTokenizer

POOLING = "1_Pooling/config.json"


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


def pooling_files(pooling: str, width: int, max_length: int) -> dict[str, Any]:
    """The files of `sentence-transformers`, by name, for an encoder that pools by `mean` or `cls`."""
    kinds = {"": "Transformer", "1_Pooling": "Pooling"}
    return {
        "modules.json": [
            {
                "idx": i,
                "name": str(i),
                "path": path,
                "type": f"sentence_transformers.models.{kind}",
            }
            for i, (path, kind) in enumerate(kinds.items())
        ],
        "sentence_bert_config.json": {"max_seq_length": max_length, "do_lower_case": False},
        POOLING: {
            "word_embedding_dimension": width,
            "pooling_mode_cls_token": pooling == "cls",
            "pooling_mode_mean_tokens": pooling == "mean",
        },
    }
