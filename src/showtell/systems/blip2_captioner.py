"""BLIP-2's second stage: the queries of a Q-Former are the prompt of a frozen language model.

    image -> frozen encoder -> queries that look at it -> z_1 .. z_K -> linear -> K vectors
    [K vectors] w_1 .. w_t -> language model (frozen) -> w_t+1

The Q-Former has no texts here: it begins as that of the first stage and learns what the language model reads.
OPT, the paper's language model, adds a position of its own to each query; a Llama adds none, and queries that
are alike are one word said K times to it. There each may have a learned position p_k (ours): z_k + p_k.

Source: Li et al. 2023, "BLIP-2: Bootstrapping Language-Image Pre-training with Frozen Image Encoders and
Large Language Models", figure 3 (decoder-based language model), section 3.3. `blip2_t5.py` has the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, TypeVar, cast

import torch
from torch import nn

from showtell.data.batch import Batch
from showtell.fusion.image_prompt import ImagePrompted, ImagePromptedConfig
from showtell.fusion.q_former import QFormer
from showtell.fusion.visual.frozen import FrozenImages
from showtell.nn.linear import Linear
from showtell.nn.transformer import initialise
from showtell.protocols import Encoded, Rate
from showtell.systems.blip2 import BLIP2Retriever
from showtell.systems.blip2_parts import BLIP2PartsConfig
from showtell.systems.gpt import GPTConfig
from showtell.systems.llama import LlamaConfig

Config = TypeVar("Config")


class SecondStageConfig(ImagePromptedConfig, BLIP2PartsConfig):
    """A config of what a first stage begins."""

    def with_first_stage(self: Config, stage: BLIP2PartsConfig) -> Config:
        """For the image encoder and the Q-Former of a first stage, which `begin_queries` loads."""
        parts = {f.name: getattr(stage, f.name) for f in fields(BLIP2PartsConfig)}
        return replace(cast(Any, self), **parts)


@dataclass(frozen=True)
class BLIP2CaptionerConfig(SecondStageConfig):
    """BLIP-2 with ViT-g/14 and a LLaMA."""

    language: LlamaConfig | GPTConfig = field(default_factory=LlamaConfig)
    train_language: bool = False
    """Whether the language model learns too; else it stays as it was."""
    image_id: int = 32000
    """What stands for each token of an image among the ids."""
    positions: bool = False
    """Whether each query has a learned position in the prompt, for a language model that adds none."""
    position_rate: float = 1.0
    """The learning rate of these positions, as a multiple of the run's."""
    former_rate: float = 1.0
    """The learning rate of the Q-Former, as a multiple of the run's."""

    def build(self) -> BLIP2Captioner:
        """The untrained system of this config."""
        return BLIP2Captioner(self)


class SecondStage(nn.Module):
    """A frozen image encoder, the queries, a linear layer and a frozen language model."""

    language: Any

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = c = config
        self.image = FrozenImages(c)
        self.reads, self.num_class_tokens = self.image.reads, self.image.num_class_tokens
        self.image_id = c.image_id
        self.former = QFormer(c.former, self.image.width)
        self.project = Linear(c.former.width, c.language.width)
        self.apply(initialise)
        self.language = c.language.build()
        self.language.requires_grad_(c.train_language)

    def begin_queries(self, stage: BLIP2Retriever) -> None:
        """Begin with the queries of a first stage, and with what looks at the image in it."""
        own = self.former.state_dict()
        self.former.load_state_dict({name: stage.former.state_dict()[name] for name in own})
        self.image.load_state_dict(stage.image.state_dict())

    def encode_images(self, batch: Batch) -> Encoded:
        """Tokens `[B K D]`, as the language model reads them; pooled, their mean."""
        seen = self.image(batch.images)
        queries, _ = self.former.see(self.former.prefill(seen.tokens, seen.keep))
        tokens = self.project(queries)
        return Encoded(tokens, tokens.mean(1))


class BLIP2Captioner(SecondStage, ImagePrompted):
    """Over a decoder, which reads the queries before its text."""

    Config: ClassVar = BLIP2CaptionerConfig
    lora: ClassVar = ("language.blocks.", "language.transformer.")
    """The prefixes of the linear layers that an adapter corrects."""

    def __init__(self, config: BLIP2CaptionerConfig) -> None:
        super().__init__(config)
        self.positions = None
        if config.positions:
            shape = (config.former.num_queries, config.language.width)
            self.positions = nn.Parameter(torch.empty(shape).normal_(std=0.1))

    @property
    def rates(self) -> dict[str, Rate]:
        """Those of the parts that learn: an adapter leaves them as they are."""
        rates = {"former.": Rate(self.config.former_rate), "positions": Rate(self.config.position_rate)}
        learning = [name for name, parameter in self.named_parameters() if parameter.requires_grad]
        return {part: rate for part, rate in rates.items() if any(name.startswith(part) for name in learning)}

    def encode_images(self, batch: Batch) -> Encoded:
        """Tokens `[B K D]`, as the language model reads them; pooled, their mean."""
        encoded = super().encode_images(batch)
        if self.positions is None:
            return encoded
        tokens = encoded.tokens + self.positions
        return Encoded(tokens, tokens.mean(1))
