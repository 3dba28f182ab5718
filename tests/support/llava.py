"""A tiny random LLaVA with a chat template."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from showtell.checkpoint.save import save_checkpoint
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.systems.llava import LLaVAConfig
from support.chat import TEMPLATE
from support.tiny import tiny


def llava_folder(folder: Path, texts: Sequence[str], template: str = TEMPLATE, max_length: int = 200) -> Path:
    """Its checkpoint, which reads images of 16 pixels as 16 tokens; its tokenizer has learned `texts`."""
    tokenizer = SubwordTokenizer.train(texts, "bpe", 300, "chatml")
    small = tiny(LLaVAConfig())
    language = replace(small.language, width=48, mlp_dim=96, max_length=max_length)
    config = replace(small, language=language).with_tokenizer(tokenizer)
    torch.manual_seed(0)
    system = config.build()
    with torch.no_grad():
        for weight in system.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    preprocess = {"size": 16, "version": "squash16-v1", "texts": {"chat_template": template}}
    save_checkpoint(
        folder, system, record={}, tokenizer_json=tokenizer.to_json(), preprocess=preprocess, card="# LLaVA\n"
    )
    return folder
