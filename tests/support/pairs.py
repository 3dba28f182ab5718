"""Models of pairs."""

from pathlib import Path

import torch

from showtell.checkpoint.save import save_checkpoint
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.caches import pixel_preprocess
from showtell.systems.vilt import ViLTConfig


def untrained_vilt(folder: Path, version: str = pixel_preprocess(16)["version"]) -> Path:
    """The checkpoint of a small ViLT away from its start, which prepares images by a version."""
    torch.manual_seed(0)
    tokenizer = SubwordTokenizer.train(["a red green blue yellow square"] * 3, "wordpiece", 60, "bert")
    config = ViLTConfig(
        width=16, depth=2, num_heads=2, mlp_dim=16, max_length=12, image_size=16, patch_size=8
    ).with_tokenizer(tokenizer)
    system = config.build()
    with torch.no_grad():
        for parameter in system.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    save_checkpoint(
        folder,
        system,
        record={"recipe": "vilt_mini"},
        tokenizer_json=tokenizer.to_json(),
        preprocess={"size": 16, "version": version},
        card="",
    )
    return folder
