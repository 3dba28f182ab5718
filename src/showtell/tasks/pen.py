"""Several texts written by one model at once, each by its own grammar, seed, temperature and budget.

`generate` of `transformers` computes the logits of a batch. A `Pen` is its logits processor: it chooses the
token of every row itself, and leaves `generate` no other choice. So a row gets the text that it would get
alone, up to ties of the floating-point sums of another batch size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.tasks.constrained import Answer
from showtell.tasks.decoding import sample_top_p
from showtell.tasks.stops import Stops


@dataclass(frozen=True)
class Piece:
    """The next piece of a text that is being generated."""

    text: str
    tokens: int
    """Generated so far."""
    prompt_tokens: int
    finish: Literal["stop", "length"] | None = None
    """In the last piece, which may be empty: whether the model ended it, or the limit."""
    made_up: bool = False
    """Whether it completes a document that the limit ended."""


@dataclass(frozen=True)
class Completion:
    """A text with its continuation."""

    text: str
    """The prompt, or the last message."""
    completion: str
    """What follows it, the first space included; or the answer."""
    tokens: int
    """Generated tokens."""
    cut: int
    """Tokens at the start of the prompt that the model did not read."""
    finish: Literal["stop", "length"] = "stop"
    """Whether the model ended it, or the limit. A document that the limit ended is valid, but its last
    values are made up."""


@dataclass(frozen=True)
class Sampling:
    """How the tokens of a text are chosen."""

    max_tokens: int
    temperature: float = 0.0
    """The most probable token each time at 0."""
    top_p: float = 1.0
    seed: int = 0
    stops: tuple[str, ...] = ()
    """Texts that end it, and are not part of it."""


Put = Callable[[Piece | Exception], bool]
"""Takes the next piece of a text, or why there is none; returns whether more is wanted."""


class Row:
    """One text of a batch while it is written."""

    def __init__(self, prompt_tokens: int, sampling: Sampling, answer: Answer | None, put: Put) -> None:
        """`answer`: the document that the text is, of `max_tokens + 1` tokens at most, the end included."""
        self._prompt_tokens, self._sampling, self._answer, self._put = prompt_tokens, sampling, answer, put
        self._generator: torch.Generator | None = None
        self._stops, self._open = Stops(sampling.stops), list[int]()
        self._tokens = 0
        self.done = False

    def choose(self, logits: Float[Tensor, " V"]) -> Int[Tensor, ""]:
        """The token that the model and the row's settings ask for."""
        if self._answer is not None:
            logits = self._answer.mask(logits)
        if not self._sampling.temperature:
            return logits.argmax()
        if self._generator is None:
            self._generator = torch.Generator(logits.device).manual_seed(self._sampling.seed)
        scaled = (logits / self._sampling.temperature)[None, None]
        return sample_top_p(scaled, self._sampling.top_p, self._generator)[0, 0]

    def write(self, token: int, tokenizer: SubwordTokenizer, ends: Sequence[int]) -> int:
        """Write a token, or what the budget allows in its place, and return what was written."""
        token = token if self._answer is None else self._answer.take(token)
        cut = self._answer is not None and self._answer.cut
        finish: Literal["stop", "length"] | None = None
        if token in ends:
            finish = "length" if cut else "stop"
        else:
            self._open.append(token)
            self._tokens += 1
            if self._answer is None and self._tokens == self._sampling.max_tokens:
                finish = "length"
        text = tokenizer.decode(self._open)
        if text.endswith("\ufffd") and not finish:  # a character of several tokens
            text = ""
        else:
            self._open = []
        text = self._stops.take(text, last=finish is not None)
        finish = "stop" if self._stops.found else finish
        more = self._put(Piece(text, self._tokens, self._prompt_tokens, finish, cut))
        self.done = finish is not None or not more
        return token

    def fail(self, error: Exception) -> None:
        """End the text by an error."""
        self.done = True
        self._put(error)


class Pen:
    """The logits processor of a batch."""

    def __init__(self, rows: Sequence[Row], tokenizer: SubwordTokenizer, ends: Sequence[int]) -> None:
        """`ends`: the tokens that end a text."""
        self._rows, self._tokenizer, self._ends = rows, tokenizer, ends
        self._never: Tensor | None = None

    def __call__(self, ids: Int[Tensor, "B L"], logits: Float[Tensor, "B V"]) -> Float[Tensor, "B V"]:
        """0 for the chosen token of each row, -inf for all others."""
        if self._never is None:
            never = set(self._tokenizer.never_generated(logits.shape[1])) - {*self._ends}
            self._never = torch.tensor(sorted(never), device=logits.device)
        logits = logits.index_fill(1, self._never, -torch.inf)
        end = torch.tensor(self._ends[0], device=logits.device)
        wanted = torch.stack(
            [
                end if row.done else self._chosen(row, scores)
                for row, scores in zip(self._rows, logits, strict=True)
            ]
        )
        tokens = wanted.tolist()  # the device is waited for once
        for i, row in enumerate(self._rows):
            if not row.done:
                tokens[i] = self._written(row, tokens[i])
        chosen = torch.tensor(tokens, device=logits.device)
        return torch.full_like(logits, -torch.inf).scatter_(1, chosen[:, None], 0.0)

    def all_done(self, ids: Int[Tensor, "B L"], scores: object) -> Bool[Tensor, " B"]:
        """Which rows need no more tokens: the stopping criterion of the batch."""
        return torch.tensor([row.done for row in self._rows], device=ids.device)

    def _chosen(self, row: Row, logits: Tensor) -> Tensor:
        try:
            return row.choose(logits)
        except Exception as error:  # one row's failure is not the others'
            row.fail(error)
            return torch.tensor(self._ends[0], device=logits.device)

    def _written(self, row: Row, token: int) -> int:
        try:
            return row.write(token, self._tokenizer, self._ends)
        except Exception as error:
            row.fail(error)
            return self._ends[0]
