"""A pretrained model with all that a checkpoint keeps, from a folder, a package or the Hugging Face hub."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from showtell.hub.catalogue import find, read_huggingface
from showtell.hub.huggingface.fetch import find_folder

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Pretrained:
    """A system with its pretrained parameters, its tokenizer and its preprocessing."""

    system: nn.Module
    tokenizer_json: str = ""
    """Empty where it reads no text."""
    preprocessing: str = ""
    """Version of the preprocessing of images, `crop224-v1`; empty where it reads no images."""
    about: str = ""
    """What those who trained it say of it: Markdown."""
    texts: dict[str, Any] = field(default_factory=dict)
    """What happens to a text before it is tokenized: `prompts`, `do_lower_case`, `chat_template`; empty for
    nothing."""


def load_pretrained(source: str, *, download: bool = False) -> Pretrained:
    """Read a folder in the Hugging Face layout, a package's model by name, or an id on the Hugging Face hub.

    A folder comes before a package of the same name.

    Raises `UserError` naming the file, setting or tensor that is missing, unknown or unfit, `MissingError`
    for a model that is not on this machine, `UsageError` for what is none of the three.
    """
    if not Path(source).is_dir() and (package := find(source)):
        return package.load()
    return read_huggingface(find_folder(source, download=download))
