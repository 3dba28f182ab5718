"""Tiny random models of the Qwen-VL families, in folders as the published ones are."""

import json

import torch

from showtell.data.tokenizers.subword import SubwordTokenizer

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
)
TEMPLATE = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\n"
    "You help.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}"
    "{{ message['content'] }}{% else %}{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% elif 'text' in part %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
EXTRA_ROWS = 6
"""Rows of the embedding without a token, as published models have."""


def tokenizer_json() -> str:
    """A byte-level tokenizer with the families' special tokens."""
    texts = ["请提取图片中的信息 营业执照 身份证 收据", "The cat sat on the mat.", '{"total": 12.5}'] * 3
    said = json.loads(SubwordTokenizer.train(texts, "bpe", 320, "chatml").to_json())
    there = {token["content"] for token in said["added_tokens"]}
    first = 1 + max([*said["model"]["vocab"].values(), *(token["id"] for token in said["added_tokens"])])
    new = [name for name in SPECIAL if name not in there]
    said["added_tokens"] += [
        {**said["added_tokens"][0], "id": first + i, "content": name} for i, name in enumerate(new)
    ]
    return json.dumps(said)


def qwen_config(family, tokens, *, vision_width=32, width=32, depth=2, max_length=1024):
    """The configuration of a tiny model."""
    import transformers

    ids = {token["content"]: token["id"] for token in tokens["added_tokens"]}
    head = width // 4
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [head // 2 - 2, 1, 1]}
    text = {
        "vocab_size": 1 + max(ids.values()) + EXTRA_ROWS,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": depth,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": max_length,
        "tie_word_embeddings": True,
    }
    vision = {"depth": 2, "num_heads": 4, "patch_size": 14}
    if family == "qwen2_vl":
        kind, vision = (
            transformers.Qwen2VLConfig,
            vision | {"embed_dim": vision_width, "hidden_size": width, "mlp_ratio": 2},
        )
    elif family == "qwen2_5_vl":
        kind = transformers.Qwen2_5_VLConfig
        vision |= {"hidden_size": vision_width, "out_hidden_size": width}
        vision |= {"intermediate_size": 2 * vision_width, "window_size": 56}
        vision["fullatt_block_indexes"] = [1]
    else:
        kind, rope["mrope_interleaved"], text["head_dim"] = transformers.Qwen3VLConfig, True, head
        vision |= {"hidden_size": vision_width, "out_hidden_size": width}
        vision |= {"intermediate_size": 2 * vision_width, "patch_size": 16}
        vision |= {"num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
    return kind(
        text_config=text | {"rope_parameters": rope},
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )


def qwen_folder(folder, family, seed=0, **sizes):
    """A model in a folder; returns the folder. `sizes` are those of `qwen_config`."""
    import transformers

    said = json.loads(tokenizer_json())
    ids = {token["content"]: token["id"] for token in said["added_tokens"]}
    torch.manual_seed(seed)
    model = transformers.AutoModelForImageTextToText.from_config(qwen_config(family, said, **sizes))
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(6)
    # What the published folders ask of `generate`, which no request asks for.
    settings = {"do_sample": True, "repetition_penalty": 1.5, "temperature": 0.1, "top_k": 1}
    for name, value in settings.items():
        setattr(model.generation_config, name, value)
    model.generation_config.eos_token_id = [ids["<|im_end|>"], ids["<|endoftext|>"]]
    model.generation_config.pad_token_id = ids["<|endoftext|>"]
    model.save_pretrained(folder)
    preprocessor = {
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2VLProcessor",
        "patch_size": 16 if family == "qwen3_vl" else 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }
    if family == "qwen3_vl":
        preprocessor |= {"size": {"shortest_edge": 4096, "longest_edge": 65536}}
        preprocessor["image_processor_type"] = "Qwen2VLImageProcessorFast"
    else:
        preprocessor |= {"min_pixels": 3136, "max_pixels": 50176}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    (folder / "tokenizer.json").write_text(json.dumps(said))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "Qwen2Tokenizer"}))
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": TEMPLATE}))
    return folder
