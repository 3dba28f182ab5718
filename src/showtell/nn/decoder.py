"""A causal decoder whose state is a KV cache: what token by token generation needs, whatever its blocks."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from showtell.errors import UserError
from showtell.nn.mask import attention_mask
from showtell.protocols import State


class Appended(NamedTuple):
    """Where the next tokens of `B` texts stand."""

    keep: Bool[Tensor, "B M"]
    """Which of the cached and the new tokens are real."""
    positions: Int[Tensor, "B L"]
    """Of the new tokens, counted over the real ones."""
    mask: Bool[Tensor, "B 1 L M"] | None
    """What the new tokens may attend to."""


def appended(cached: Bool[Tensor, "B N"], keep: Bool[Tensor, "B L"], max_length: int) -> Appended:
    """The next tokens, of which `keep [B L]` are real, after the `cached [B N]` ones.

    Raises `UserError` when a text grows longer than `max_length`.
    """
    offset = cached.shape[1]
    whole = torch.cat([cached, keep], 1)
    positions = (whole.long().cumsum(1) - 1)[:, offset:].clamp(min=0)
    if int(positions.max()) >= max_length:
        raise UserError(f"the text grew longer than the model's {max_length} tokens")
    return Appended(
        whole, positions, attention_mask(whole, queries=keep.shape[1], offset=offset, causal=True)
    )


def of_rows(memory: State, rows: Int[Tensor, " R"]) -> State:
    """Some rows of a memory."""
    # Its gradient takes a sixth of the time of that of `tensor[rows]`.
    return {name: tensor.index_select(0, rows) for name, tensor in memory.items()}


class CachedDecoder(nn.Module):
    """`Decoder` for a `CausalLanguageModel` that defines `extend` and `next_token_logits`; with `prefill`, a
    `Captioner`.
    """

    def extend(self, state: State, ids: Tensor, keep: Tensor) -> tuple[Tensor, State]:
        """Append `ids [B L]`, of which `keep` are real; return tokens `[B L D]` and the longer cache."""
        raise NotImplementedError

    def next_token_logits(self, tokens: Tensor) -> Tensor:
        """Logits `[... V]` of the token after each of `tokens [... D]`."""
        raise NotImplementedError

    def teacher_forced_logits(
        self, memory: State, owner: Int[Tensor, " R"], ids: Int[Tensor, "R L"], keep: Bool[Tensor, "R L"]
    ) -> Float[Tensor, "T V"]:
        """Logits of the real tokens after the first, row by row, each row after its `owner` in `memory`."""
        tokens, _ = self.extend(of_rows(memory, owner), ids[:, :-1], keep[:, :-1])
        return self.next_token_logits(tokens[keep[:, 1:]])

    def initial_state(self, memory: State) -> State:
        """The cache of each prompt as one hypothesis, `[B 1 ...]`."""
        return {k: t[:, None] for k, t in memory.items()}

    def step(self, memory: State, state: State, ids: Tensor) -> tuple[Tensor, State]:
        """Append one token per hypothesis, `ids [B K]`; return logits `[B K V]` and the new state."""
        shape = ids.shape
        flat = {k: t.flatten(0, 1) for k, t in state.items()}
        tokens, flat = self.extend(
            flat, ids.reshape(-1, 1), torch.ones_like(ids, dtype=torch.bool).view(-1, 1)
        )
        logits = self.next_token_logits(tokens[:, 0])
        return logits.unflatten(0, shape), {k: t.unflatten(0, shape) for k, t in flat.items()}
