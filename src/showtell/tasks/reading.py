"""Texts read from images, token by token: how sure, whether masked, and where each stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from showtell.data.batch import pad
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.protocols import Captioner, Encoded, State
from showtell.tasks.decoding import beam_search


@runtime_checkable
class TextReader(Captioner, Protocol):
    """Reads the text of an image."""

    config: Any
    """Its `max_length` is the most tokens of a text, with start and end."""

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the tokens of an image of that many pixels."""
        ...

    def reconstructed(self, encoded: Encoded, sides: tuple[int, int]) -> Tensor | None:
        """What it draws in place of masks, `[B 3 H W]` in 0..1; None where it does not draw."""
        ...

    def inspect(self, memory: State, owner: Tensor, ids: Tensor, grid: tuple[int, int]) -> Any:
        """Of the tokens after each of `ids [R L]`: `logits [R L V]`, `masked [R L]` and `boxes [R L 4]`."""
        ...


@dataclass(frozen=True)
class ReadToken:
    """One token of a text that was read."""

    text: str
    """With the space before it, if it begins a word."""
    probability: float
    masked: bool | None
    """Whether the image shows a mask in its place; None if the model did not learn to say so."""
    box: tuple[float, float, float, float] | None
    """Left, top, right and bottom as fractions of the image; None if the model does not point."""


@dataclass(frozen=True)
class Reading:
    """The text of an image."""

    text: str
    tokens: list[ReadToken]
    logprob_per_token: float
    """The mean over the tokens and the end; near 0 is sure."""


@torch.inference_mode()
def read_encoded(
    system: TextReader,
    tokenizer: SubwordTokenizer,
    encoded: Encoded,
    sides: tuple[int, int],
    *,
    beam: int = 1,
) -> list[Reading]:
    """The text of each of the `B` encoded images of height and width `sides`; `beam=1` is greedy."""
    memory = system.prefill(encoded)
    found = beam_search(
        system,
        memory,
        start=tokenizer.start,
        end=tokenizer.end,
        beam=beam,
        max_tokens=system.config.max_length - 2,
        banned=tokenizer.never_generated(system.config.vocab_size),
    )
    best = [hypotheses[0] for hypotheses in found]
    ids, _ = pad([[tokenizer.start, *one.ids] for one in best], tokenizer.pad)
    ids = ids.to(encoded.tokens.device)
    seen = system.inspect(memory, torch.arange(len(ids), device=ids.device), ids, system.grid(*sides))
    chosen = seen.logits[:, :-1].softmax(-1).gather(2, ids[:, 1:, None])[..., 0].tolist()
    masked = None if seen.masked is None else (seen.masked > 0.5).tolist()
    boxes = None if seen.boxes is None else seen.boxes.tolist()
    return [
        Reading(
            tokenizer.decode(one.ids),
            [
                ReadToken(
                    text,
                    chosen[row][place],
                    None if masked is None else masked[row][place],
                    None if boxes is None else tuple(boxes[row][place]),
                )
                for place, text in enumerate(token_texts(tokenizer, one.ids))
            ],
            one.logprob_per_token,
        )
        for row, one in enumerate(best)
    ]


def token_texts(tokenizer: SubwordTokenizer, ids: Sequence[int]) -> list[str]:
    """What each token adds to the text; a letter that several tokens share comes with the last of them.

    >>> tokenizer = SubwordTokenizer.train(["low lower lowest"] * 2, "bpe", 270)
    >>> token_texts(tokenizer, tokenizer.pieces("low lowest").ids)
    ['low', ' lowest']
    """
    texts, said = [], ""
    for count in range(1, len(ids) + 1):
        now = tokenizer.decode(ids[:count]).rstrip("\ufffd")
        texts.append(now[len(said) :])
        said = now
    return texts
