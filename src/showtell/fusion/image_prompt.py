"""Images as a prompt: their tokens stand before, or among, those of a text that a language model continues.

    image -> N vectors as wide as the language model's tokens;  [image] w_1 .. w_t -> w_t+1

Source: Tsimpoukelli et al. 2021, "Multimodal Few-Shot Learning with Frozen Language Models", section 3.
"""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import replace
from typing import Any, ClassVar, TypeVar, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.parametrize import cached

from showtell.data.batch import Batch, TextBatch
from showtell.fusion.projector import placed
from showtell.nn.decoder import CachedDecoder, of_rows
from showtell.objectives.causal_tokens import causal_tokens, next_tokens, predicted
from showtell.protocols import Encoded, State, Step

Config = TypeVar("Config")


class ImagePromptedConfig:
    """A config with a `language` model and an `image_id`."""

    language: Any
    image_id: int

    @property
    def vocab_size(self) -> int:
        """Tokens of the language model."""
        size: int = self.language.vocab_size
        return size

    @property
    def max_length(self) -> int:
        """Tokens that the language model reads, those of images among them."""
        length: int = self.language.max_length
        return length

    def with_tokenizer(self: Config, tokenizer: Sized) -> Config:
        """With the vocabulary of `tokenizer` and, after its last token, that of images."""
        config, size = cast(Any, self), len(tokenizer)
        return replace(config, language=replace(config.language, vocab_size=size), image_id=size)

    def with_language_model(self: Config, language: Any) -> Config:
        """For a pretrained language model, whose config is `language`."""
        return replace(cast(Any, self), language=language, image_id=language.vocab_size)


class ImagePrompted(CachedDecoder):
    """A `Captioner` and a `CausalLanguageModel`, trained as both, for a system with a `language` model that
    defines `encode_images`.
    """

    loss_weights: ClassVar = {"lm": 1.0}
    language: Any
    """The language model, such as a `Llama` or a `GPT`."""
    image_id: int
    """What stands for each token of an image among the ids."""

    def encode_images(self, batch: Batch) -> Encoded:
        """Tokens `[B N D]`, as the language model reads them."""
        raise NotImplementedError

    def extend_seen(
        self, state: State, ids: Int[Tensor, "B L"], keep: Bool[Tensor, "B L"], images: Encoded
    ) -> tuple[Float[Tensor, "B L D"], State]:
        """As `extend`, of ids that name images: each `image_id` becomes the next token of `images`.

        Raises `UserError` with both counts when they differ.
        """
        where = ids == self.image_id
        tokens = self.language.embed_tokens(ids.masked_fill(where, 0))
        return self.language.append(state, placed(tokens, where, images.tokens, images.keep), keep)

    def prefill(self, encoded: Encoded) -> State:
        """The KV cache of each image, before its caption."""
        tokens, keep = encoded.tokens, encoded.keep
        keep = tokens.new_ones(tokens.shape[:2], dtype=torch.bool) if keep is None else keep
        return self.language.append(self.empty_cache(len(tokens)), tokens, keep)[1]

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of each next token: of the answers in conversations, which name the images among
        their ids or those of their prompts; of captions where nothing is marked as an answer.
        """
        texts = batch.texts
        if texts.answers is None:
            images = self.encode_images(batch)
            rows = torch.arange(len(texts), device=texts.ids.device)
            owner = rows if texts.owner is None else texts.owner
            logits = self.teacher_forced_logits(self.prefill(images), owner, texts.ids, texts.keep)
            targets = next_tokens(texts.ids, texts.keep)
        else:
            if len(batch.prompts):
                assert texts.owner is not None
                with cached():  # a correction of low rank is added once for both
                    memory = of_rows(self._read(batch.prompts, batch)[1], texts.owner)
                    tokens, _ = self.extend(memory, texts.ids, texts.keep)
            else:
                tokens, _ = self._read(texts, batch)
            chosen = predicted(texts.keep, None, texts.answers)
            logits, targets = self.next_token_logits(tokens[:, :-1][chosen]), texts.ids[:, 1:][chosen]
        return Step({"lm": causal_tokens(logits, targets)}, counts={"lm": len(logits)})

    def _read(self, texts: TextBatch, batch: Batch) -> tuple[Tensor, State]:
        """The tokens of texts that name the images of the batch, where it has any, and their KV cache."""
        empty = self.empty_cache(len(texts))
        if not len(batch.images):
            return self.extend(empty, texts.ids, texts.keep)
        return self.extend_seen(empty, texts.ids, texts.keep, self.encode_images(batch))

    def encode_texts(self, batch: Batch) -> Encoded:
        """Texts alone, as the language model encodes them."""
        return self.language.encode_texts(batch)

    def token_embeddings(self) -> Float[Tensor, "V D"]:
        """The token embedding `[V D]`."""
        return self.language.token_embeddings()

    def next_token_logits(self, tokens: Tensor) -> Tensor:
        """Logits `[... V]` of the token after each of `tokens [... D]`."""
        return self.language.next_token_logits(tokens)

    def empty_cache(self, batch: int) -> State:
        """The empty KV cache of `batch` texts, `[B ...]`."""
        return self.language.empty_cache(batch)

    def extend(self, state: State, ids: Tensor, keep: Tensor) -> tuple[Tensor, State]:
        """Append a text alone, `ids [B L]`; return tokens `[B L D]` and the longer cache.

        Raises `UserError` when the text grows longer than `max_length`.
        """
        return self.language.extend(state, ids, keep)
