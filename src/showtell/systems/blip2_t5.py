"""BLIP-2's second stage over an encoder-decoder: the encoder reads the queries, the decoder writes.

    image -> frozen encoder -> queries that look at it -> z_1 .. z_K -> linear -> K vectors
    [K vectors] prompt -> T5's encoder (frozen) -> c
    w_1 .. w_t, which look at c -> T5's decoder (frozen) -> w_t+1

Source: Li et al. 2023, "BLIP-2: Bootstrapping Language-Image Pre-training with Frozen Image Encoders and
Large Language Models", figure 3 (encoder-decoder-based language model), section 3.3. A caption is not split
into prefix and suffix: the decoder writes all of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.objectives.causal_tokens import causal_tokens, next_tokens
from showtell.protocols import Encoded, State, Step
from showtell.systems.blip2_captioner import SecondStage, SecondStageConfig
from showtell.systems.t5 import T5, T5Config


@dataclass(frozen=True)
class BLIP2T5Config(SecondStageConfig):
    """BLIP-2 with ViT-g/14 and Flan-T5 XL."""

    language: T5Config = field(
        default_factory=lambda: T5Config(32128, 2048, 24, 24, 32, 5120, activation="geglu")
    )
    train_language: bool = False
    """Whether the language model learns too; else it stays as it was."""
    image_id: int = 32100
    """What stands for each token of an image among the ids."""
    prompt: tuple[int, ...] = (1,)
    """The tokens that the encoder reads after the image: the end of a text, where nothing is asked."""

    def build(self) -> BLIP2T5:
        """The untrained system of this config."""
        return BLIP2T5(self)


class BLIP2T5(SecondStage):
    """Over an encoder-decoder, a `Captioner`."""

    Config: ClassVar = BLIP2T5Config
    loss_weights: ClassVar = {"lm": 1.0}
    config: BLIP2T5Config
    language: T5

    def prefill(self, encoded: Encoded) -> State:
        """The keys and values of what T5's encoder makes of each image and the prompt."""
        tokens, prompt = encoded.tokens, torch.tensor(self.config.prompt, device=encoded.tokens.device)
        asked = self.language.embed(prompt.long()).expand(len(tokens), -1, -1)
        keep = None if encoded.keep is None else F.pad(encoded.keep, (0, len(prompt)), value=True)
        read = self.language.encode(torch.cat([tokens, asked], 1), keep)
        return self.language.prefill_texts(Encoded(read, read.mean(1), keep))

    def initial_state(self, memory: State) -> State:
        """No tokens yet, one hypothesis per image, `[B 1 ...]`."""
        return self.language.initial_state(memory)

    def step(self, memory: State, state: State, ids: Int[Tensor, "B K"]) -> tuple[Tensor, State]:
        """Append one token per hypothesis; return logits `[B K V]` and the new state."""
        return self.language.step(memory, state, ids)

    def teacher_forced_logits(
        self, memory: State, owner: Int[Tensor, " R"], ids: Int[Tensor, "R L"], keep: Bool[Tensor, "R L"]
    ) -> Float[Tensor, "T V"]:
        """Logits of the real tokens after the first, row by row."""
        return self.language.teacher_forced_logits(memory, owner, ids, keep)

    def token_embeddings(self) -> Float[Tensor, "V D"]:
        """The token embedding `[V D]`."""
        return self.language.token_embeddings()

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of each next token of the captions."""
        texts = batch.texts
        rows = torch.arange(len(texts), device=texts.ids.device)
        owner = rows if texts.owner is None else texts.owner
        memory = self.prefill(self.encode_images(batch))
        logits = self.teacher_forced_logits(memory, owner, texts.ids, texts.keep)
        targets = next_tokens(texts.ids, texts.keep)
        return Step({"lm": causal_tokens(logits, targets)}, counts={"lm": len(logits)})
