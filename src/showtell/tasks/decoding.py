"""Beam search and sampling over a decoder.

Both keep the whole state of every hypothesis, batched over images or prompts, so hypotheses that end in the
same token never share a state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from showtell.protocols import Decoder, State
from showtell.tasks.constrained import Answer

MOST_ACTIVE = 0.75
"""Share of the images at which those that are done are dropped: dropping copies what the decoder reads."""

SHORTLIST = 2048
"""Tokens among which a nucleus is looked for first: sorting a vocabulary takes longer than choosing them."""


@dataclass(frozen=True)
class Hypothesis:
    """A generated sequence of ids, without start and end."""

    ids: tuple[int, ...]
    logprob: float
    """Log-probability of the tokens and of the end, nats."""

    @property
    def logprob_per_token(self) -> float:
        """The mean over the tokens and the end."""
        return self.logprob / (len(self.ids) + 1)


def _pick(state: State, parent: Tensor) -> State:
    """The states of the chosen parents: `[B K ...]` indexed by `parent [B J]` to `[B J ...]`."""
    image = torch.arange(len(parent), device=parent.device)[:, None]
    return {name: value[image, parent] for name, value in state.items()}


def _next_logits(
    system: Decoder, memory: State, state: State, ids: Tensor, banned: Sequence[int]
) -> tuple[Tensor, State]:
    logits, state = system.step(memory, state, ids)
    return logits.index_fill(
        -1, torch.tensor([*banned], dtype=torch.int64, device=logits.device), -torch.inf
    ), state


@torch.inference_mode()
def beam_search(
    system: Decoder,
    memory: State,
    *,
    start: int,
    end: int,
    beam: int = 5,
    num: int = 1,
    max_tokens: int = 20,
    length_penalty: float = 0.7,
    banned: Sequence[int] = (),
) -> list[list[Hypothesis]]:
    """The `num` best sequences per image, of at most `max_tokens` tokens, best first.

    `start` is what a text begins with, or the last token of a prompt: it may be generated again unless it is
    among the `banned` ids, which never are.

    Sequences rank by `logprob / (tokens + 1) ** length_penalty`: 0 ranks by probability, which prefers short
    ones; 1 by the mean, which prefers long ones. An image is done when no open hypothesis can still enter its
    best. `beam=1` is greedy decoding.

    Raises `ValueError` when `num > beam`. Source: Sutskever et al. 2014, section 3.2; Wu et al. 2016,
    section 7, for the length normalisation.
    """
    if num > beam:
        raise ValueError(f"num={num} needs a beam of at least {num}, not {beam}")
    state = system.initial_state(memory)
    batch, device = len(next(iter(state.values()))), next(iter(state.values())).device
    last = torch.full((batch, 1), start, device=device)
    scores = torch.zeros(batch, 1, device=device)
    history = torch.empty(batch, 1, 0, dtype=torch.int64, device=device)
    best: list[list[tuple[float, Hypothesis]]] = [[] for _ in range(batch)]
    active = list(range(batch))  # the images still decoded: row i of every tensor is that of active[i]

    for length in range(max_tokens + 1):
        logits, state = _next_logits(system, memory, state, last, banned)
        total = logits.log_softmax(-1).add_(scores[..., None])
        ended = total[..., end].tolist()
        for image, rows, values in zip(active, history.tolist(), ended, strict=True):
            found = best[image]
            found += [
                (value / (length + 1) ** length_penalty, Hypothesis(tuple(ids), value))
                for ids, value in zip(rows, values, strict=True)
                if value > -torch.inf
            ]
            found.sort(key=lambda pair: pair[0], reverse=True)
            del found[num:]
        total[..., end] = -torch.inf
        scores, flat = total.flatten(1).topk(min(beam, total.shape[1] * total.shape[2]), dim=1)
        # More tokens only lower a log-probability: the best score that an open hypothesis can reach is its
        # present log-probability over the greatest length.
        reachable = (scores[:, 0] / (max_tokens + 1) ** length_penalty).tolist()
        unsure = [
            row
            for row, (image, reach) in enumerate(zip(active, reachable, strict=True))
            if not (len(best[image]) == num and best[image][-1][0] >= reach)
        ]
        if not unsure:
            break
        parent, last = flat // total.shape[2], flat % total.shape[2]
        state = _pick(state, parent)
        history = torch.cat([history.gather(1, parent[..., None].expand(-1, -1, length)), last[..., None]], 2)
        if len(unsure) <= MOST_ACTIVE * len(active):
            kept = torch.tensor(unsure, device=device)
            memory, state = ({name: rows[kept] for name, rows in part.items()} for part in (memory, state))
            last, scores, history = last[kept], scores[kept], history[kept]
            active = [active[row] for row in unsure]
    return [[hypothesis for _, hypothesis in found] for found in best]


@torch.inference_mode()
def stream_tokens(
    system: Decoder,
    memory: State,
    *,
    start: int,
    end: int,
    generator: torch.Generator,
    temperature: float = 0.0,
    top_p: float = 1.0,
    banned: Sequence[int] = (),
    answer: Answer | None = None,
) -> Iterator[int]:
    """The tokens of one prompt one by one, each as soon as it is known, up to the end, which is not given.

    The most probable each time at a `temperature` of 0, else sampled as by `nucleus`. `start` is the last
    token of the prompt, and may be generated again. With an `answer`, they are a document that
    keeps its grammar and ends within its budget.
    """
    state = system.initial_state(memory)
    last = torch.full((1, 1), start, device=next(iter(state.values())).device)
    while True:
        logits, state = _next_logits(system, memory, state, last, banned)
        logits = logits if answer is None else answer.mask(logits)
        last = sample_top_p(logits / temperature, top_p, generator) if temperature else logits.argmax(-1)
        token = int(last) if answer is None else answer.take(int(last))
        if token == end:
            return
        last.fill_(token)
        yield token


def sample_top_p(logits: Tensor, top_p: float, generator: torch.Generator) -> Tensor:
    """A token `[B K]` by `logits [B K V]`, from the smallest set whose probability reaches `top_p`.

    The set is looked for among the most probable tokens, then among all where those do not reach `top_p`; the
    token is the same either way.
    """
    probs = logits.softmax(-1)
    if top_p >= 1:  # the order does not matter
        return _drawn(probs.cumsum(-1, dtype=torch.float64), generator)
    best, order = probs.topk(min(SHORTLIST, probs.shape[-1]), -1)
    total = best.cumsum(-1, dtype=torch.float64)
    if not (total[..., -1] >= top_p).all():
        best, order = probs.sort(-1, descending=True)
        total = best.cumsum(-1, dtype=torch.float64)
    last = (total < top_p).sum(-1, keepdim=True).clamp(max=total.shape[-1] - 1)
    place = _drawn(total.minimum(total.gather(-1, last)), generator)
    return order.gather(-1, place[..., None]).squeeze(-1)


def _drawn(total: Tensor, generator: torch.Generator) -> Tensor:
    """A place `[...]` of each row of cumulative sums `[... V]`, as often as the sum grows there."""
    drawn = torch.rand(*total.shape[:-1], 1, generator=generator, device=total.device, dtype=total.dtype)
    return torch.searchsorted(total, drawn * total[..., -1:], right=True).squeeze(-1)


@torch.inference_mode()
def nucleus(
    system: Decoder,
    memory: State,
    *,
    start: int,
    end: int,
    generator: torch.Generator,
    num: int = 1,
    top_p: float = 0.9,
    temperature: float = 1.0,
    max_tokens: int = 20,
    banned: Sequence[int] = (),
) -> list[list[Hypothesis]]:
    """`num` sampled sequences per image, highest log-probability per token first.

    Each token is drawn from the smallest set whose probability reaches `top_p`. The reported
    log-probabilities are the model's own, not those of the truncated distribution.

    Source: Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration", section 3.1.
    """
    state = system.initial_state(memory)
    batch, device = len(next(iter(state.values()))), next(iter(state.values())).device
    state = _pick(state, torch.zeros(batch, num, dtype=torch.int64, device=device))
    last = torch.full((batch, num), start, device=device)
    history = torch.empty(batch, num, 0, dtype=torch.int64, device=device)
    logprob = torch.zeros(batch, num, device=device)
    ended = torch.zeros(batch, num, dtype=torch.bool, device=device)
    for length in range(max_tokens + 1):
        logits, state = _next_logits(system, memory, state, last, banned)
        drawn = sample_top_p(logits / temperature, top_p, generator)
        last = drawn.masked_fill(ended | (length == max_tokens), end)
        step = logits.log_softmax(-1).gather(-1, last[..., None]).squeeze(-1)
        logprob = logprob + step.masked_fill(ended, 0.0)
        history = torch.cat([history, last[..., None]], -1)
        ended = ended | (last == end)
        if ended.all():
            break
    found = [
        [Hypothesis(tuple(ids[: ids.index(end)]), value) for ids, value in zip(rows, values, strict=True)]
        for rows, values in zip(history.tolist(), logprob.tolist(), strict=True)
    ]
    return [sorted(row, key=lambda h: h.logprob_per_token, reverse=True) for row in found]
