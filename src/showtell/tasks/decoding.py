"""Turn next-word probabilities into captions: beam search and nucleus sampling.

Both keep the whole state of every hypothesis, batched over images, so hypotheses that end in the same
word never share a memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from showtell.protocols import Decoder, State


@dataclass(frozen=True)
class Hypothesis:
    """A caption in ids, without start and end."""

    ids: tuple[int, ...]
    logprob: float
    """Log-probability of the words and of the end, nats."""

    @property
    def logprob_per_token(self) -> float:
        """The mean over the words and the end."""
        return self.logprob / (len(self.ids) + 1)


def _pick(state: State, parent: Tensor) -> State:
    """The states of the chosen parents: `[B K ...]` by `parent [B J]` to `[B J ...]`."""
    image = torch.arange(len(parent), device=parent.device)[:, None]
    return {name: value[image, parent] for name, value in state.items()}


def _next_logits(
    system: Decoder, memory: State, state: State, words: Tensor, banned: list[int]
) -> tuple[Tensor, State]:
    logits, state = system.step(memory, state, words)
    return logits.index_fill(
        -1, torch.tensor(banned, dtype=torch.int64, device=logits.device), -torch.inf
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
    max_words: int = 20,
    length_penalty: float = 0.7,
    banned: Sequence[int] = (),
) -> list[list[Hypothesis]]:
    """The `num` best captions of each image, of at most `max_words` words, best first.

    Captions rank by `logprob / (words + 1) ** length_penalty`: 0 ranks by probability, which prefers short
    captions; 1 by the mean, which prefers long ones. The search stops when no open hypothesis can still
    enter any image's best. `beam=1` is greedy decoding. `banned` ids are never said.

    Raises `ValueError` when `num > beam`. Source: Sutskever et al. 2014, section 3.2; Wu et al. 2016,
    section 7, for the length normalisation.
    """
    if num > beam:
        raise ValueError(f"num={num} captions need a beam of at least {num}, not {beam}")
    state = system.initial_state(memory)
    num_images, device = len(next(iter(state.values()))), next(iter(state.values())).device
    words = torch.full((num_images, 1), start, device=device)
    scores = torch.zeros(num_images, 1, device=device)
    history = torch.empty(num_images, 1, 0, dtype=torch.int64, device=device)
    best: list[list[tuple[float, Hypothesis]]] = [[] for _ in range(num_images)]

    for length in range(max_words + 1):
        logits, state = _next_logits(system, memory, state, words, [start, *banned])
        total = scores[..., None] + logits.log_softmax(-1)
        ended = total[..., end].tolist()
        for found, rows, values in zip(best, history.tolist(), ended, strict=True):
            found += [
                (value / (length + 1) ** length_penalty, Hypothesis(tuple(ids), value))
                for ids, value in zip(rows, values, strict=True)
                if value > -torch.inf
            ]
            found.sort(key=lambda pair: pair[0], reverse=True)
            del found[num:]
        total[..., end] = -torch.inf
        scores, flat = total.flatten(1).topk(min(beam, total.shape[1] * total.shape[2]), dim=1)
        # More words only lower a log-probability: an open hypothesis reaches at best its present one,
        # spread over the longest caption.
        reachable = (scores[:, 0] / (max_words + 1) ** length_penalty).tolist()
        if all(len(found) == num and found[-1][0] >= r for found, r in zip(best, reachable, strict=True)):
            break
        parent, words = flat // total.shape[2], flat % total.shape[2]
        state = _pick(state, parent)
        history = torch.cat(
            [history.gather(1, parent[..., None].expand(-1, -1, length)), words[..., None]], 2
        )
    return [[hypothesis for _, hypothesis in found] for found in best]


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
    max_words: int = 20,
    banned: Sequence[int] = (),
    say_start: bool = False,
) -> list[list[Hypothesis]]:
    """`num` sampled captions of each image, the most probable a word first.

    Each word is drawn from the smallest set of words whose probability reaches `top_p`. The reported
    log-probabilities are the model's own, not those of the cut distribution. With `say_start` the start may
    be said again, as the last word of a prompt may.

    Source: Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration", section 3.1.
    """
    state = system.initial_state(memory)
    num_images, device = len(next(iter(state.values()))), next(iter(state.values())).device
    state = _pick(state, torch.zeros(num_images, num, dtype=torch.int64, device=device))
    words = torch.full((num_images, num), start, device=device)
    history = torch.empty(num_images, num, 0, dtype=torch.int64, device=device)
    logprob = torch.zeros(num_images, num, device=device)
    ended = torch.zeros(num_images, num, dtype=torch.bool, device=device)
    never = [*banned] if say_start else [start, *banned]
    for length in range(max_words + 1):
        logits, state = _next_logits(system, memory, state, words, never)
        probs, order = (logits / temperature).softmax(-1).sort(-1, descending=True)
        probs = probs.masked_fill(probs.cumsum(-1) - probs >= top_p, 0.0)
        drawn = torch.multinomial(probs.flatten(0, 1), 1, generator=generator).view(num_images, num, 1)
        words = order.gather(-1, drawn).squeeze(-1).masked_fill(ended | (length == max_words), end)
        step = logits.log_softmax(-1).gather(-1, words[..., None]).squeeze(-1)
        logprob = logprob + step.masked_fill(ended, 0.0)
        history = torch.cat([history, words[..., None]], -1)
        ended = ended | (words == end)
        if ended.all():
            break
    found = [
        [Hypothesis(tuple(ids[: ids.index(end)]), value) for ids, value in zip(rows, values, strict=True)]
        for rows, values in zip(history.tolist(), logprob.tolist(), strict=True)
    ]
    return [sorted(row, key=lambda h: h.logprob_per_token, reverse=True) for row in found]
