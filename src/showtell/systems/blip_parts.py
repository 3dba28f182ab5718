"""The parts of BLIP: its image tower, and its texts' transformer, which reads, grounds and writes them.

Source: Li et al. 2022, "BLIP: Bootstrapping Language-Image Pre-training", figure 2, section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import TextBatch
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import UserError
from showtell.fusion.visual.tower import TowerEmbedderConfig
from showtell.nn.cross_decoder import MixedBlocks
from showtell.nn.decoder import of_rows
from showtell.nn.embed import TextEmbedding
from showtell.nn.feedforward import Activation
from showtell.nn.heads import MaskedLMHead
from showtell.nn.mask import attention_mask
from showtell.protocols import State
from showtell.systems.bert import BERTEncoder, BERTEncoderConfig
from showtell.systems.clip import TowerConfig


@dataclass(frozen=True)
class BLIPPartsConfig(TowerEmbedderConfig):
    """BLIP with ViT-B/16."""

    image: TowerConfig = field(default_factory=lambda: TowerConfig(768, 12, 3072, 12, "gelu", 1e-6))
    vocab_size: int = 30524
    """With the tokens [Decode] and [Encode], which the tokenizer does not have."""
    width: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_dim: int = 3072
    activation: Activation = "gelu"
    eps: float = 1e-12
    dropout: float = 0.0
    max_length: int = 512
    start_id: int = 101
    """The tokenizer's first token of a text, [CLS]."""
    decode_id: int = 30522
    """What stands in its place for the decoder."""
    end_id: int = 102
    """Its last, [SEP], which ends what is written."""
    encode_id: int = 30523
    """What stands in its place where a text meets an image."""

    def with_tokenizer(self, tokenizer: SubwordTokenizer) -> Self:
        """With the vocabulary of `tokenizer` and two more tokens."""
        size = len(tokenizer)
        return replace(
            self,
            vocab_size=size + 2,
            start_id=tokenizer.start,
            end_id=tokenizer.end,
            decode_id=size,
            encode_id=size + 1,
        )

    def with_text_tower(self, text: BERTEncoderConfig) -> Self:
        """For a pretrained encoder of texts, which `begin_texts` loads."""
        return replace(
            self,
            width=text.width,
            depth=text.depth,
            num_heads=text.num_heads,
            mlp_dim=text.mlp_dim,
            activation=text.activation,
            eps=text.eps,
            max_length=text.max_length,
        )


class Reader(nn.Module):
    """The embedding of texts and the blocks that read, ground and write them."""

    def __init__(self, config: BLIPPartsConfig, context_width: int, *, own_causal: bool = False) -> None:
        super().__init__()
        self.config = c = config
        self.embed = TextEmbedding(c.vocab_size, c.width, c.max_length, eps=c.eps)
        self.stack = MixedBlocks(
            c.width,
            c.depth,
            c.num_heads,
            c.mlp_dim,
            context_width,
            activation=c.activation,
            eps=c.eps,
            dropout=c.dropout,
            own_causal=own_causal,
        )

    @torch.no_grad()
    def begin(self, encoder: BERTEncoder) -> None:
        """Take over the parameters of an encoder of texts; what looks at images has none to take over.

        [Decode] and [Encode] begin as the start token, the decoder's own attention as the encoder's.
        """
        own, given = self.embed, encoder.embed
        start = given.tokens.weight[self.config.start_id]
        own.tokens.weight.copy_(torch.cat([given.tokens.weight, start.expand(2, -1)]))
        own.positions.weight.copy_(given.positions.weight)
        if given.segments is not None:  # a caption has one
            own.positions.weight.add_(given.segments.weight[0])
        own.norm.load_state_dict(given.norm.state_dict())
        for (attends, block), source in zip(self.stack.layers(), encoder.transformer.blocks, strict=True):
            block.load_state_dict(source.state_dict(), strict=False)
            attends.load_state_dict({n: t for n, t in source.state_dict().items() if "attention" in n})

    def encode(self, texts: TextBatch) -> Float[Tensor, "R L W"]:
        """Texts alone."""
        return self.stack.encode(self._embedded(texts.ids), _mask(texts))

    def ground(self, texts: TextBatch, memory: State) -> Float[Tensor, "R L W"]:
        """Texts after [Encode], each of which looks at the image of its row."""
        return self.stack.ground(
            self._embedded(self._after(texts.ids, self.config.encode_id)), memory, _mask(texts)
        )

    def decode(self, ids: Int[Tensor, "R L"], memory: State) -> Float[Tensor, "R L W"]:
        """Texts after [Decode], no token of which sees a later one."""
        mask = attention_mask(None, queries=ids.shape[1], causal=True, device=ids.device)
        return self.stack.decode(self._embedded(self._after(ids, self.config.decode_id)), memory, mask)

    def step(self, ids: Int[Tensor, "B K"], memory: State, state: State) -> tuple[Tensor, State]:
        """The next token of each hypothesis. Raises `UserError` for a text that grows too long."""
        before = next(iter(state.values())).shape[3]
        if before >= self.config.max_length:
            raise UserError(f"the text grew longer than the model's {self.config.max_length} tokens")
        tokens = self.embed(self._after(ids, self.config.decode_id), torch.full_like(ids, before))
        return self.stack.step(F.dropout(tokens, self.config.dropout, self.training), memory, state)

    def _embedded(self, ids: Tensor) -> Tensor:
        return F.dropout(self.embed(ids), self.config.dropout, self.training)

    def _after(self, ids: Tensor, first: int) -> Tensor:
        return ids.masked_fill(ids == self.config.start_id, first)


def _mask(texts: TextBatch) -> Tensor | None:
    return attention_mask(texts.keep, queries=texts.ids.shape[1])


class Writer(nn.Module):
    """A `Decoder` for a system that defines its `reader` and has an `lm_head`."""

    lm_head: MaskedLMHead

    @property
    def reader(self) -> Reader:
        """The embedding and the blocks of the texts."""
        raise NotImplementedError

    def token_embeddings(self) -> Float[Tensor, "V W"]:
        """The token embedding, [Decode] and [Encode] last."""
        return self.reader.embed.tokens.weight.detach()

    def initial_state(self, memory: State) -> State:
        """No tokens yet, one hypothesis per image: keys and values `[B 1 H 0 D/H]`."""
        empty = self.reader.stack.empty_cache(len(next(iter(memory.values()))))
        return {name: value[:, None] for name, value in empty.items()}

    def step(
        self, memory: State, state: State, ids: Int[Tensor, "B K"]
    ) -> tuple[Float[Tensor, "B K V"], State]:
        """Append one token per hypothesis; return logits and the new state."""
        tokens, state = self.reader.step(ids, memory, state)
        return self.logits(tokens.flatten(0, 1)).unflatten(0, ids.shape), state

    def teacher_forced_logits(
        self, memory: State, owner: Int[Tensor, " R"], ids: Tensor, keep: Tensor
    ) -> Float[Tensor, "T V"]:
        """Logits of the real tokens after the first, row by row."""
        return self.next_logits(of_rows(memory, owner), ids, keep)

    def next_logits(self, memory: State, ids: Tensor, keep: Tensor) -> Float[Tensor, "T V"]:
        """As `teacher_forced_logits`, each text with its own row of the memory."""
        return self.logits(self.reader.decode(ids[:, :-1], memory)[keep[:, 1:]])

    def logits(self, tokens: Float[Tensor, "T W"]) -> Float[Tensor, "T V"]:
        """Of the token after each of `tokens`."""
        return self.lm_head(tokens, self.reader.embed.tokens.weight)
