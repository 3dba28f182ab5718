"""A tiny random BLIP-2 over OPT, as its folders are published."""

import json
from pathlib import Path
from typing import Any

import torch

from showtell.data.tokenizers.subword import SubwordTokenizer

QUERIES = 3


def blip2_folder(folder: Path, texts: list[str]) -> Any:
    """Write it and return the reference's model.

    It has a vocabulary learned from `texts`, captions that end by a line break, and an image token.
    """
    import transformers

    made = json.loads(SubwordTokenizer.train(texts, "bpe", 300, "opt").to_json())
    ids = made["model"]["vocab"]
    made["added_tokens"].append(made["added_tokens"][0] | {"id": len(ids), "content": "<image>"})
    torch.manual_seed(0)
    config = transformers.Blip2Config(
        vision_config={
            "hidden_size": 12,
            "intermediate_size": 20,
            "num_hidden_layers": 2,
            "num_attention_heads": 3,
            "image_size": 16,
            "patch_size": 4,
        },
        qformer_config={
            "hidden_size": 8,
            "encoder_hidden_size": 12,
            "intermediate_size": 18,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
        },
        text_config=transformers.OPTConfig(
            vocab_size=320,
            hidden_size=24,
            ffn_dim=36,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=90,
            eos_token_id=ids["Ċ"],
            bos_token_id=ids["</s>"],
            pad_token_id=ids["<pad>"],
        ),
        num_query_tokens=QUERIES,
        image_token_index=len(ids),
    )
    reference = transformers.Blip2ForConditionalGeneration(config).eval()
    with torch.no_grad():
        for weight in reference.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    reference.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(json.dumps(made))
    size = {"height": 16, "width": 16}
    processor = {"image_processor_type": "BlipImageProcessor", "size": size}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return reference
