"""A tiny language model with a chat template."""

import json

import torch

from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.hub.huggingface.folder import export_folder
from showtell.systems.llama import LlamaConfig

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def llama_folder(folder, family, template, texts=("The cat sat on the mat.",) * 3, **sizes):
    """A tiny random Llama in the Hugging Face layout, as others write it."""
    tokenizer = SubwordTokenizer.train(texts, "bpe", 300, family)
    small = {"width": 12, "depth": 2, "num_heads": 2, "num_kv_heads": 1, "mlp_dim": 20, "max_length": 120}
    config = LlamaConfig(len(tokenizer), **small | sizes)
    torch.manual_seed(0)
    system = config.build()
    with torch.no_grad():
        for weight in system.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    folder.mkdir()
    export_folder(system, folder)
    (folder / "tokenizer.json").write_text(tokenizer.to_json())
    settings = {"chat_template": template} if template else {}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder
