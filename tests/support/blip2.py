"""Tiny random BLIP-2s over OPT and T5, as their folders are published."""

import json
import string
from pathlib import Path
from typing import Any

import torch

from showtell.data.tokenizers.subword import SubwordTokenizer
from support.hf import VISION, untied

QUERIES = 3


def blip2_folder(folder: Path, language: str, texts: list[str]) -> Any:
    """Write it and return the reference's model; `language` is `opt` or `t5`.

    OPT has a vocabulary learned from `texts` and captions that end by a line break, T5 one of letters.
    """
    import transformers

    made, text = _opt(texts) if language == "opt" else t5_parts(folder / "letters")
    image_id = max(token["id"] for token in made["added_tokens"])
    torch.manual_seed(0)
    config = transformers.Blip2Config(
        vision_config=VISION,
        qformer_config={
            "hidden_size": 8,
            "encoder_hidden_size": 12,
            "intermediate_size": 18,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
        },
        text_config=text,
        num_query_tokens=QUERIES,
        image_token_index=image_id,
    )
    reference = transformers.Blip2ForConditionalGeneration(config).eval()
    if language == "t5":
        untied(reference, "language_model")
    with torch.no_grad():
        for weight in reference.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    reference.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(json.dumps(made))
    size = {"height": 16, "width": 16}
    processor = {"image_processor_type": "BlipImageProcessor", "size": size}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return reference


def _with_image(made: dict[str, Any]) -> dict[str, Any]:
    """A tokenizer with one special token more."""
    ids = [*range(len(made["model"]["vocab"])), *(token["id"] for token in made["added_tokens"])]
    made["added_tokens"].append(made["added_tokens"][0] | {"id": max(ids) + 1, "content": "<image>"})
    return made


def _opt(texts: list[str]) -> tuple[dict[str, Any], Any]:
    import transformers

    made = json.loads(SubwordTokenizer.train(texts, "bpe", 300, "opt").to_json())
    ids = made["model"]["vocab"]
    return _with_image(made), transformers.OPTConfig(
        vocab_size=320,
        hidden_size=24,
        ffn_dim=36,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=90,
        eos_token_id=ids["Ċ"],
        bos_token_id=ids["</s>"],
        pad_token_id=ids["<pad>"],
    )


def t5_parts(folder: Path) -> tuple[dict[str, Any], Any]:
    """A tokenizer of letters, as the reference writes it to `folder`, and a T5's config of the reference."""
    import transformers

    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    vocabulary += [(letter, -3.0) for letter in string.ascii_lowercase]
    extra = [("<extra_id_1>", 0.0), ("<extra_id_0>", 0.0)]
    transformers.T5Tokenizer(vocab=[*vocabulary, *extra], extra_ids=2).save_pretrained(folder)
    made = json.loads((folder / "tokenizer.json").read_text())
    return _with_image(made), transformers.T5Config(
        vocab_size=40,
        d_model=24,
        d_kv=6,
        d_ff=36,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        dense_act_fn="gelu",
        tie_word_embeddings=False,
        decoder_start_token_id=0,
        bos_token_id=1,
    )
