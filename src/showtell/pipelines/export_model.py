"""`showtell export`: a checkpoint as a folder that other libraries read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from showtell.checkpoint.folder import replace_folder
from showtell.checkpoint.save_load import PREPROCESS, Checkpoint, load_checkpoint
from showtell.data.json import read_object
from showtell.data.tokenizers.load import load_tokenizer
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import UsageError
from showtell.hub.huggingface.folder import export_folder
from showtell.hub.huggingface.preprocessor import FILE as PREPROCESSOR
from showtell.hub.huggingface.preprocessor import Preprocessor, preprocessor_config
from showtell.hub.huggingface.sidecars import pooling_files, tokenizer_config

FORMATS = ("huggingface",)


def export_model(model: Path | str, output: Path | str, *, format: str = "huggingface") -> dict[str, Any]:
    """Write a checkpoint so that `transformers` reads it: `AutoModel`, `AutoTokenizer`, `AutoImageProcessor`.

    An older export at `output` is replaced whole. Returns where it is, its system and how many weights it
    has. Raises `UsageError` for an unknown format, a system without a counterpart there, and an `output` that
    holds something else; `UserError` for a checkpoint that is damaged.
    """
    output = Path(output)
    if format not in FORMATS:
        raise UsageError(f"no format is called {format!r}; there is {', '.join(FORMATS)}")
    if (output / PREPROCESS).exists():
        raise UsageError(f"{output} holds a checkpoint of showtell; choose another folder")
    checkpoint = load_checkpoint(Path(model))

    def write(folder: Path) -> None:
        export_folder(checkpoint.system, folder)
        for name, content in _beside(checkpoint, read_object(folder / "config.json")):
            (folder / name).parent.mkdir(exist_ok=True)
            text = content if isinstance(content, str) else json.dumps(content, indent=2, ensure_ascii=False)
            (folder / name).write_text(text, "utf-8")
        if output.is_dir() and (
            foreign := {p.name for p in output.iterdir()} - {p.name for p in folder.iterdir()}
        ):
            raise UsageError(
                f"{output} holds {min(foreign)}, which is of no older export; choose another folder"
            )

    replace_folder(output, write, marker="config.json")
    count = sum(p.numel() for p in checkpoint.system.parameters())
    return {"folder": str(output), "system": type(checkpoint.system).__name__, "weights": count}


def _beside(checkpoint: Checkpoint, described: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The files that say how words and images reach the model, and the card."""
    config: Any = checkpoint.system.config
    if checkpoint.tokenizer_json:
        tokenizer = load_tokenizer(checkpoint.tokenizer_json, str(checkpoint.folder / "tokenizer.json"))
        yield "tokenizer.json", checkpoint.tokenizer_json
        if isinstance(tokenizer, SubwordTokenizer):
            yield "tokenizer_config.json", tokenizer_config(tokenizer, config.max_length)
            # The reference's CLIP pools where it finds the end, by its id.
            ids = {"bos": tokenizer.start, "eos": tokenizer.end, "pad": tokenizer.pad}
            for name, i in ids.items():
                described.get("text_config", described).setdefault(f"{name}_token_id", i)
            yield "config.json", described
    if checkpoint.preprocess:
        ours = Preprocessor(str(checkpoint.preprocess.get("version")), config.mean, config.std)
        yield PREPROCESSOR, preprocessor_config(ours, described["model_type"])
    if pooling := described.get("sentence_pooling"):
        yield from pooling_files(pooling, config.width, config.max_length).items()
    card = checkpoint.folder / "README.md"
    if card.is_file():
        yield "README.md", card.read_text("utf-8", "replace")
