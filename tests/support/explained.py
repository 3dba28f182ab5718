"""Tiny checkpoints with an image input, one of each kind, for explanations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from showtell.checkpoint.save import save_checkpoint
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.data.tokenizers.words import WordTokenizer
from showtell.hub.backbones import load_backbone
from showtell.systems.resnet import ResNetEncoderConfig
from showtell.systems.show_and_tell import ShowAndTellConfig
from showtell.systems.show_attend_and_tell import ShowAttendAndTellConfig
from showtell.systems.vit import ViTConfig, ViTEncoderConfig
from showtell.systems.vlp import VLPConfig
from support.checkpoints import CAPTIONS
from support.dual import colour_clip

SIZE = 16
VIT: dict[str, Any] = {
    "image_size": SIZE,
    "patch_size": 4,
    "width": 12,
    "depth": 2,
    "num_heads": 3,
    "mlp_dim": 20,
}
CLASSES = ("cat", "dog", "red panda")


def _saved(
    folder: Path, config: Any, backbone: Path | str | None = None, version: str = f"squash{SIZE}-v1"
) -> Path:
    torch.manual_seed(0)
    system: nn.Module = config.build()
    for parameter in system.parameters():
        if parameter.ndim > 1:
            parameter.data.normal_(std=0.4)
    preprocess = {"version": version} | ({"backbone": str(backbone)} if backbone else {})
    reads_words = hasattr(config, "vocab_size")
    tokenizer = WordTokenizer.train(CAPTIONS).to_json() if reads_words else ""
    save_checkpoint(
        folder, system, record={}, tokenizer_json=tokenizer, preprocess=preprocess, card="# random weights\n"
    )
    return folder


def _captioner(folder: Path, config: Any, backbone: Any) -> Path:
    behind = _saved(folder.with_name(f"{folder.name}_backbone"), backbone)
    width = backbone.width if hasattr(backbone, "width") else backbone.widths[-1]
    words = len(WordTokenizer.train(CAPTIONS))
    return _saved(folder, config(vocab_size=words, feature_width=width, width=16), behind)


def _over_two(folder: Path) -> Path:
    """A CNN and a transformer side by side, which read squares of different size."""
    parts = folder.with_name("cnn"), folder.with_name("transformer")
    _saved(parts[0], ResNetEncoderConfig((1, 1), (8, 12), False, stem_width=8), version="crop32-v1")
    _saved(parts[1], ViTEncoderConfig(**VIT))
    backbone = load_backbone("+".join(str(part.resolve()) for part in parts))
    config = ShowAttendAndTellConfig(len(WordTokenizer.train(CAPTIONS)), backbone.width, width=16)
    return _saved(folder, config, backbone.name, backbone.preprocessing)


def _reader(folder: Path) -> Path:
    """Of pages, patch by patch, with tokens that are parts of words."""
    tokenizer = SubwordTokenizer.train(CAPTIONS, "bpe", 300)
    torch.manual_seed(0)
    sizes = {"width": 12, "depth": 2, "num_heads": 2, "mlp_dim": 20, "dec_div": 1}
    config = VLPConfig("patches_16", **sizes, vocab_size=len(tokenizer), max_length=9)
    system = config.build()
    for name, parameter in system.named_parameters():
        if parameter.ndim > 1:
            parameter.data.normal_(std=0.4)
        elif name == "output.bias":
            parameter.data[tokenizer.end] = -30  # as many tokens as there may be
    save_checkpoint(
        folder,
        system,
        record={},
        tokenizer_json=tokenizer.to_json(),
        preprocess={"version": "page32x64of7-v1"},
        card="",
    )
    return folder


RESNET = ResNetEncoderConfig((1, 1), (8, 12), False, stem_width=8)
MODELS: dict[str, Callable[[Path], Path]] = {
    "classifier": lambda f: _saved(f, ViTConfig(**VIT, num_classes=3, class_names=CLASSES)),
    "dual encoder": colour_clip,
    "image encoder": lambda f: _saved(f, ViTEncoderConfig(**VIT)),
    "captioner with attention": lambda f: _captioner(f, ShowAttendAndTellConfig, ViTEncoderConfig(**VIT)),
    "captioner over a CNN": lambda f: _captioner(f, ShowAndTellConfig, RESNET),
    "captioner over two backbones": _over_two,
    "reader": _reader,
    "CNN": lambda f: _saved(f, RESNET),
}
