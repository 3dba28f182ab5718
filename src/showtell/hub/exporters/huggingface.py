"""The Hugging Face layout: what `AutoModel`, `AutoTokenizer` and `AutoImageProcessor` read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from showtell.checkpoint.load import Checkpoint
from showtell.data.json import read_object
from showtell.data.tokenizers.load import load_tokenizer
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.hub.huggingface.chat import FILE as CHAT_TEMPLATE
from showtell.hub.huggingface.family import ImageFamily, family_of
from showtell.hub.huggingface.folder import export_folder
from showtell.hub.huggingface.preprocessor import FILE as PREPROCESSOR
from showtell.hub.huggingface.preprocessor import Preprocessor, preprocessor_config
from showtell.hub.huggingface.sidecars import sentence_files, tokenizer_config

MARKER = "config.json"


def write(checkpoint: Checkpoint, folder: Path) -> None:
    """Weights, configuration, tokenizer, preprocessing and card of a checkpoint."""
    export_folder(checkpoint.system, folder)
    for name, content in _sidecars(checkpoint, read_object(folder / "config.json")):
        (folder / name).parent.mkdir(exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content, indent=2, ensure_ascii=False)
        (folder / name).write_text(text, "utf-8")


def _sidecars(checkpoint: Checkpoint, described: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The files that say how texts and images reach the model, and the card, by name."""
    config: Any = checkpoint.system.config
    if checkpoint.tokenizer_json:
        tokenizer = load_tokenizer(checkpoint.tokenizer_json, str(checkpoint.folder / "tokenizer.json"))
        yield "tokenizer.json", checkpoint.tokenizer_json
        if isinstance(tokenizer, SubwordTokenizer):
            yield "tokenizer_config.json", tokenizer_config(tokenizer, config.max_length)
            # The reference's CLIP pools at the end token, which it finds by its id; BLIP-2 ends by it.
            tokenizer = tokenizer.reading(checkpoint.preprocess.get("texts", {}))
            ids = {"bos": tokenizer.start, "eos": tokenizer.end, "pad": tokenizer.pad}
            for name, i in ids.items():
                described.get("text_config", described).setdefault(f"{name}_token_id", i)
            yield "config.json", described
    family = family_of(checkpoint.system)[0]
    if "version" in checkpoint.preprocess and hasattr(family, "PROCESSOR"):  # others read regions
        ours = Preprocessor(str(checkpoint.preprocess.get("version")), config.mean, config.std)
        yield PREPROCESSOR, preprocessor_config(ours, cast(ImageFamily, family).PROCESSOR)
    if texts := checkpoint.preprocess.get("texts"):  # the rest of them is written with the weights
        yield from sentence_files(config, described, texts).items()
        if template := texts.get("chat_template"):
            yield CHAT_TEMPLATE, template
    card = checkpoint.folder / "README.md"
    if card.is_file():
        yield "README.md", card.read_text("utf-8", "replace")
