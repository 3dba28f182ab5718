"""A pretrained model with all that a checkpoint keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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
