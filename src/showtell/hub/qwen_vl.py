"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL as published: read by `transformers`, tokenized and prompted by us.

The processor of `transformers` needs torchvision, for videos; images alone do not. So the tokenizer and the
image processor are read by themselves, and the tokens of images are put in here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from showtell.data.json import read_object
from showtell.data.tokenizers.chat import Message
from showtell.data.tokenizers.folder import tokenizer_of
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import MissingError, UsageError, UserError
from showtell.hub.huggingface.chat import read_chat_template
from showtell.nn.bfloat16 import has_fast_bfloat16

DOCUMENT_SCHEMA = "document_schema.json"
"""A file of a folder that `merge` wrote; what is published has none."""
FAMILIES = {"qwen2_vl", "qwen2_5_vl", "qwen3_vl"}
"""`model_type` in `config.json`."""
MAX_PIXELS = {"cuda": 1_003_520, "cpu": 401_408}
"""Of an image after it is resized. The folders say up to 12,845,056, which is 16,384 tokens."""


@dataclass(frozen=True, eq=False)
class Prompt:
    """What the model reads before it answers."""

    ids: list[int]
    """With as many image tokens for each image as the model makes of it."""
    pixels: Float[Tensor, "P C"] | None = None
    """Patches of all images, those of one after those of another; None without images."""
    grids: Int[Tensor, "N 3"] | None = None
    """Of each image: frames, and patches down and across."""


@dataclass(frozen=True, eq=False)
class QwenVL:
    """A loaded folder."""

    model: Any
    """Of `transformers`, in evaluation mode, on its device."""
    tokenizer: SubwordTokenizer
    image_processor: Any
    max_pixels: int
    ends: tuple[int, ...]
    """The tokens that end an answer."""
    hash: str
    """SHA-256 of the files."""
    document_schema: Any = None
    """The JSON schema of the documents that it was tuned to read."""

    def read(self, messages: Sequence[Message], images: Iterable[np.ndarray]) -> Prompt:
        """The prompt of messages with images, `uint8 [H W 3]`, in the order in which the messages name them.

        Raises `UserError` for messages that the chat template does not take, more or fewer images than they
        name, and an image that is more than 200 times as long as it is wide.
        """
        ids, image_token = self.tokenizer.encode_chat(messages), self.model.config.image_token_id
        found = [self.patches(image) for image in images]
        if ids.count(image_token) != len(found):
            raise UserError(f"the messages name {ids.count(image_token)} images, and {len(found)} came along")
        if not found:
            return Prompt(ids)
        pixels, grids = (torch.cat(parts) for parts in zip(*found, strict=True))
        counts = iter((grids.prod(1) // self.image_processor.merge_size**2).tolist())
        expanded = [one for i in ids for one in ([i] * next(counts) if i == image_token else [i])]
        return Prompt(expanded, pixels, grids)

    def patches(self, image: np.ndarray) -> tuple[Tensor, Tensor]:
        """The patches of an image, resized, and its grid."""
        size = dict(self.image_processor.size)
        size["longest_edge"] = min(self.max_pixels, size["longest_edge"])
        size["shortest_edge"] = min(size["shortest_edge"], size["longest_edge"])
        try:
            found = self.image_processor(images=[Image.fromarray(image)], size=size, return_tensors="pt")
        except ValueError as error:  # an aspect ratio above 200
            raise UserError(f"an image cannot be read by the model: {error}") from error
        return found["pixel_values"].to(self.model.dtype), found["image_grid_thw"]

    def collate(self, prompts: Sequence[Prompt]) -> dict[str, Tensor]:
        """Prompts as one batch for the model, padded on the left, on its device."""
        longest = max(len(prompt.ids) for prompt in prompts)
        padded = [[self.tokenizer.pad] * (longest - len(p.ids)) + p.ids for p in prompts]
        keep = [[0] * (longest - len(p.ids)) + [1] * len(p.ids) for p in prompts]
        ids = torch.tensor(padded)
        batch = {"input_ids": ids, "attention_mask": torch.tensor(keep)}
        batch["mm_token_type_ids"] = (ids == self.model.config.image_token_id).long()
        pixels = [prompt.pixels for prompt in prompts if prompt.pixels is not None]
        grids = [prompt.grids for prompt in prompts if prompt.grids is not None]
        if pixels:
            batch |= {"pixel_values": torch.cat(pixels), "image_grid_thw": torch.cat(grids)}
        return {name: tensor.to(self.model.device) for name, tensor in batch.items()}


def is_qwen_vl(folder: Path | str) -> bool:
    """Whether a folder holds a model of these families."""
    file = Path(folder) / "config.json"
    return file.is_file() and read_object(file).get("model_type") in FAMILIES


def load_qwen_vl(folder: Path | str, device: str = "cpu", max_image_tokens: int | None = None) -> QwenVL:
    """Read a folder. Nothing is downloaded, and no code of the folder runs.

    In bfloat16, if it is stored so and the device computes in it, else in float32. An image of more tokens
    than `max_image_tokens` is resized to them; the default depends on the device.

    Raises `MissingError` without `transformers`, `UsageError` for more tokens of an image than the folder
    allows, `UserError` naming what is missing or damaged.
    """
    try:
        from transformers import AutoImageProcessor, AutoModelForImageTextToText, GenerationConfig
    except ImportError as error:
        raise MissingError("Qwen-VL models need transformers: pip install 'showtell[serve]'") from error
    folder = Path(folder)
    tokenizer = tokenizer_of(folder)
    if not (template := read_chat_template(folder)):
        raise UserError(f"{folder} has no chat template: copy chat_template.json or .jinja from its source")
    schema = read_object(folder / DOCUMENT_SCHEMA) if (folder / DOCUMENT_SCHEMA).exists() else None
    try:
        processor: Any = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
        max_pixels = _pixels_of(max_image_tokens, processor, folder, device)
        loaded: Any = AutoModelForImageTextToText.from_pretrained(
            folder,
            dtype="auto" if has_fast_bfloat16(device) else torch.float32,
            attn_implementation="sdpa",  # eager attention takes the square of an image's patches, per head
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
    except UsageError:
        raise
    except Exception as error:  # of several libraries: a damaged file, a setting, a shape
        raise UserError(f"{folder} cannot be read: {error}. Copy or download it again.") from error
    model, said = loaded
    if missing := sorted(said["missing_keys"]):  # they would be random
        raise UserError(f"{folder} lacks {len(missing)} tensors, such as {missing[0]}; copy the whole folder")
    ends = model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [tokenizer.end if ends is None else ends]
    # Its own settings, such as a penalty for repetition, would change logits before a grammar sees them.
    model.generation_config = GenerationConfig(pad_token_id=tokenizer.pad)
    return QwenVL(
        model.eval().requires_grad_(False).to(device),
        tokenizer.reading({"chat_template": template}),
        processor,
        max_pixels,
        tuple(dict.fromkeys([tokenizer.end, *ends])),
        _hash(folder),
        schema,
    )


def _pixels_of(tokens: int | None, processor: Any, folder: Path, device: str) -> int:
    """The pixels of the largest image. Raises `UsageError` for more than the folder allows."""
    if tokens is None:
        return MAX_PIXELS.get(torch.device(device).type, MAX_PIXELS["cpu"])
    of_token = (processor.patch_size * processor.merge_size) ** 2
    if tokens > (allowed := processor.size["longest_edge"] // of_token):
        raise UsageError(f"{folder} makes {allowed:,} tokens of an image at most, not {tokens:,}")
    return tokens * of_token


def _hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.suffix in (".json", ".jinja", ".safetensors", ".txt") and file.is_file():
            with file.open("rb") as opened:
                digest.update(f"{file.name} {hashlib.file_digest(opened, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()
