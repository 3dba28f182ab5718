"""Answers from passages: the span that a model points at, or the text that it writes; the best window's.

A passage is longer than a model reads at once, so it is read in windows. What is said of each is compared by
its log-odds, log P(answer) - log P(none): a window that does not hold the answer should say that there is
none.

Source: Devlin et al. 2019, "BERT", sections 4.2 and 4.3 (a span's score, and that of none, at [CLS]).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from showtell.data.batch import Batch
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.tasks.decoding import beam_search

LONGEST = 30
"""Tokens of the longest span that answers, as in BERT's own code."""
BEAM = 3


@runtime_checkable
class SpanPointer(Protocol):
    """Points at the span of a passage that answers a question."""

    def span_logits(self, batch: Batch) -> Tensor:
        """Logits `[R L 2]` of each token to be the answer's first and its last; of none, at token 0."""
        ...


@dataclass(frozen=True)
class Window:
    """A part of a passage that is read together with the question."""

    passage: str
    spans: Sequence[tuple[int, int]]
    """The first and the past-the-last character of each of its tokens, in the passage."""
    before: int
    """Tokens in front of them in the row of the batch, where it is read as tokens."""


@dataclass(frozen=True)
class PassageAnswer:
    """What a model answers."""

    text: str
    log_odds: float
    """log P(answer) - log P(none), nats."""
    begin: int | None
    """Its first character in the passage; None for an answer that was written, not pointed at."""


@torch.inference_mode()
def best_answers(
    system: Any, tokenizer: SubwordTokenizer, chunks: Iterable[tuple[Batch, Sequence[tuple[int, Window]]]]
) -> list[PassageAnswer]:
    """The answer of the highest log-odds for each question, in the order of their numbers, from 0.

    A chunk is a batch with the number of the question, and the window, of each of its rows. The system is a
    `SpanPointer`, or writes the answer that an image asks for.
    """
    best: dict[int, PassageAnswer] = {}
    for batch, asked in chunks:
        windows = [window for _, window in asked]
        if isinstance(system, SpanPointer):
            found = pointed(system.span_logits(batch).float(), windows)
        else:
            found = _written(system, tokenizer, batch)
        for (number, _), answer in zip(asked, found, strict=True):
            if number not in best or answer.log_odds > best[number].log_odds:
                best[number] = answer
    return [best[number] for number in range(len(best))]


def pointed(logits: Float[Tensor, "R L 2"], windows: Sequence[Window]) -> list[PassageAnswer]:
    """The best span of each window, of at most 30 tokens."""
    answers = []
    for row, window in zip(logits.cpu(), windows, strict=True):
        first, last = row[window.before : window.before + len(window.spans)].unbind(1)
        scores = first[:, None] + last
        allowed = torch.ones_like(scores, dtype=torch.bool).triu().tril(LONGEST - 1)
        place = int(scores.masked_fill(~allowed, -torch.inf).argmax())
        one, other = divmod(place, len(last))
        begin, end = window.spans[one][0], window.spans[other][1]
        text = window.passage[begin:end]
        begin += len(text) - len(text.lstrip())
        answers.append(PassageAnswer(text.strip(), float(scores[one, other] - row[0].sum()), begin))
    return answers


def _written(system: Any, tokenizer: SubwordTokenizer, batch: Batch) -> list[PassageAnswer]:
    """The most probable text of each image that is not empty."""
    memory = system.prefill(system.encode_images(batch))
    found = beam_search(
        system,
        memory,
        start=tokenizer.start,
        end=tokenizer.end,
        beam=BEAM,
        num=2,  # the best may be that there is none
        max_tokens=system.config.max_length - 2,
        length_penalty=0.0,
        banned=tokenizer.never_generated(system.config.vocab_size),
    )
    start = torch.full((len(found), 1), tokenizer.start, device=batch.images.pixels.device)
    logits, _ = system.step(memory, system.initial_state(memory), start)
    none = logits[:, 0].log_softmax(-1)[:, tokenizer.end].tolist()
    answers = []
    for some, empty in zip(found, none, strict=True):
        one = next(hypothesis for hypothesis in some if hypothesis.ids)
        answers.append(PassageAnswer(tokenizer.decode(one.ids).strip(), one.logprob - empty, None))
    return answers
