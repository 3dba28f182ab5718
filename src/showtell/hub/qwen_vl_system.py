"""Qwen-VL as a system that is trained: its adapters, and the conversations that it reads."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from showtell.checkpoint.adapters import adapted, adapter_in, base_of
from showtell.checkpoint.load import Checkpoint
from showtell.data.batch import Batch, ImageBatch
from showtell.data.images.decode import load_image
from showtell.data.named import Tensors
from showtell.errors import UsageError
from showtell.hub.qwen_vl import DOCUMENT_SCHEMA, MAX_PIXELS, QwenVL, is_qwen_vl, load_qwen_vl
from showtell.objectives.causal_tokens import causal_tokens, predicted
from showtell.protocols import Step
from showtell.writing import replace_folder, write_json


class PatchBatch(ImageBatch):
    """Images of any sizes as patches: `float [P C]` of all images, and `int64 [N 3]`, each one's grid."""

    def __init__(self, patches: Tensor, grids: Tensor) -> None:
        Tensors.__init__(self, patches=patches, grids=grids)

    def __len__(self) -> int:
        return len(self["grids"])

    def to(self, device: torch.device | str) -> PatchBatch:
        """The same images on another device."""
        return PatchBatch(self["patches"].to(device), self["grids"].to(device))


@dataclass(frozen=True)
class QwenImages:
    """Image files as a Qwen-VL reads them."""

    loaded: QwenVL
    in_parts: ClassVar = True
    shares: ClassVar = False
    _tokens: dict[Path, int] = field(default_factory=dict)

    @property
    def image_id(self) -> int:
        """What stands among the ids for each token of an image."""
        return self.loaded.model.config.image_token_id

    def tokens(self, path: Path) -> int:
        """How many tokens an image has. Raises `ImageError` for one that cannot be read."""
        if path not in self._tokens:
            _, grid = self.loaded.patches(load_image(path))
            self._tokens[path] = int(grid.prod()) // self.loaded.image_processor.merge_size**2
        return self._tokens[path]

    def batch(self, paths: Sequence[Path]) -> ImageBatch:
        """The images of some files, read anew: their patches take more memory than the files."""
        patches, grids = zip(*(self.loaded.patches(load_image(path)) for path in paths), strict=True)
        return PatchBatch(torch.cat(patches), torch.cat(grids))


@dataclass(frozen=True)
class _Config:
    max_length: int
    """Tokens of the longest conversation, those of images among them."""


class QwenVLSystem(nn.Module):
    """The loss of the answers in conversations; `transformers` computes the tokens."""

    loss_weights: ClassVar = {"lm": 1.0}
    lora: ClassVar = ("model.model.language_model.layers.",)
    """The prefixes of the linear layers that an adapter corrects: those of the images are not among them."""

    def __init__(self, loaded: QwenVL) -> None:
        super().__init__()
        self.model = loaded.model
        self.conversation_images = QwenImages(loaded)
        self.config = _Config(loaded.model.config.get_text_config().max_position_embeddings)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of each next token of the answers."""
        texts, images = batch.texts, batch.images
        seen = {"pixel_values": images["patches"], "image_grid_thw": images["grids"]} if len(images) else {}
        tokens = self.model.model(
            input_ids=texts.ids,
            attention_mask=texts.keep.long(),
            mm_token_type_ids=(texts.ids == self.conversation_images.image_id).long(),
            use_cache=False,
            **seen,
        ).last_hidden_state
        chosen = predicted(texts.keep, None, texts.answers)
        logits = self.model.lm_head(tokens[:, :-1][chosen])
        return Step({"lm": causal_tokens(logits, texts.ids[:, 1:][chosen])}, counts={"lm": len(logits)})


def qwen_checkpoint(loaded: QwenVL, folder: Path) -> Checkpoint:
    """A loaded folder as what an adapter adapts."""
    template = loaded.tokenizer.chat_template
    return Checkpoint(
        QwenVLSystem(loaded),
        {"recipe": folder.name},
        loaded.tokenizer.to_json(),
        {"texts": {"chat_template": template}},
        loaded.hash,
        folder,
    )


def qwen_base(folder: Path | str, device: str = "cpu") -> Checkpoint:
    """A Qwen-VL folder to adapt, in float32, with images of the size that `device` answers about.

    Raises as `load_qwen_vl`.
    """
    loaded = load_qwen_vl(folder)
    loaded = replace(loaded, max_pixels=MAX_PIXELS.get(torch.device(device).type, loaded.max_pixels))
    loaded.model.float()
    return qwen_checkpoint(loaded, Path(folder))


def load_tuned(
    folder: Path, device: str = "cpu", max_image_tokens: int | None = None, *, base: Path | None = None
) -> QwenVL:
    """A Qwen-VL folder, or its `base`, by default the one that it names, with the adapter in `folder`.

    Raises as `load_qwen_vl`, and `MissingError` for an adapter of another base.
    """
    if (adapter := adapter_in(folder)) is None:
        return load_qwen_vl(folder, device, max_image_tokens)
    base = base or Path(base_of(adapter))
    loaded = load_qwen_vl(base, device, max_image_tokens)
    dtype = loaded.model.dtype
    merged = adapted(adapter, qwen_checkpoint(loaded, base))
    loaded.model.to(dtype).requires_grad_(False)
    schema = merged.record.get("data", {}).get("schema")
    return replace(loaded, hash=merged.hash, document_schema=schema or loaded.document_schema)


def write_merged(adapter: Path, base: Path, output: Path) -> nn.Module:
    """Write a Qwen-VL folder with an adapter merged into it, as it was published; return its model.

    The schema of the documents that the adapter was tuned on lies beside it, in `DOCUMENT_SCHEMA`.

    Raises as `load_tuned`, and `UsageError` for a folder that is there already: a model of others has the
    same files.
    """
    if output.exists():
        raise UsageError(f"{output} exists; choose another folder")
    loaded = load_tuned(adapter, base=base)

    def write(temporary: Path) -> None:
        loaded.model.save_pretrained(temporary)
        for file in base.iterdir():
            if file.suffix in (".json", ".jinja", ".txt") and not file.name.startswith(("config.", "model.")):
                shutil.copyfile(file, temporary / file.name)
        if loaded.document_schema is not None:
            write_json(temporary / DOCUMENT_SCHEMA, loaded.document_schema)

    replace_folder(output, write, marker="config.json")
    model: nn.Module = loaded.model
    return model


def is_tuned_qwen_vl(folder: Path | str) -> bool:
    """Whether a folder holds a Qwen-VL, or an adapter of one."""
    adapter = adapter_in(Path(folder))
    return is_qwen_vl(base_of(adapter) if adapter else folder)
