"""Beam search equals exhaustive search; sampling follows the model's distribution."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from showtell.protocols import Encoded
from showtell.tasks.decoding import SHORTLIST, beam_search, nucleus, sample_top_p
from support.captioners import END, START, VOCAB, encode, make

MAX_TOKENS = 3
BANNED = (START, 0, 3)


def exhaustive(system, encoded, image, penalty):
    """Every sequence of at most MAX_TOKENS tokens, scored by teacher forcing, best first."""
    allowed = [i for i in range(VOCAB) if i not in (END, *BANNED)]
    one = Encoded(encoded.tokens[image : image + 1], encoded.pooled[image : image + 1])
    memory = system.prefill(one)
    scored = []
    for length in range(MAX_TOKENS + 1):
        for tokens in itertools.product(allowed, repeat=length):
            ids = torch.tensor([[START, *tokens, END]])
            logits = system.teacher_forced_logits(
                memory, torch.zeros(1, dtype=torch.long), ids, torch.ones_like(ids).bool()
            )
            logits[:, BANNED] = -torch.inf
            logprob = logits.log_softmax(-1).gather(1, ids[0, 1:, None]).sum().item()
            scored.append((logprob / (length + 1) ** penalty, tokens, logprob))
    return sorted(scored, reverse=True)


@pytest.mark.parametrize("kind", ["lstm", "gru", "attend"])
@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.0])
def test_a_wide_beam_is_exhaustive_search(kind, penalty):
    system = make(kind)
    encoded = encode(system)
    with torch.no_grad():
        found = beam_search(
            system,
            system.prefill(encoded),
            start=START,
            end=END,
            beam=VOCAB**MAX_TOKENS,
            num=4,
            max_tokens=MAX_TOKENS,
            length_penalty=penalty,
            banned=BANNED,
        )
        for image, hypotheses in enumerate(found):
            truth = exhaustive(system, encoded, image, penalty)[:4]
            assert [h.ids for h in hypotheses] == [ids for _, ids, _ in truth]
            assert [h.logprob for h in hypotheses] == pytest.approx([p for _, _, p in truth], abs=1e-4)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), beam=st.integers(1, 5))
def test_a_batch_gives_what_each_image_gives_alone(seed, beam):
    system = make("attend", seed)
    encoded = encode(system, seed=seed)
    options = {"start": START, "end": END, "beam": beam, "num": beam, "max_tokens": 6}
    together = beam_search(system, system.prefill(encoded), **options)
    for image in range(3):
        one = Encoded(encoded.tokens[image : image + 1], encoded.pooled[image : image + 1])
        (alone,) = beam_search(system, system.prefill(one), **options)
        assert [h.ids for h in alone] == [h.ids for h in together[image]]


class Timed:
    """A decoder that is sure when each image's text ends; it counts the images of every step."""

    def __init__(self) -> None:
        self.images: list[int] = []

    def initial_state(self, memory):
        return {"time": torch.zeros_like(memory["ends"])[:, None]}

    def step(self, memory, state, ids):
        assert len(memory["ends"]) == len(state["time"]) == len(ids)
        self.images.append(len(ids))
        token = torch.where(state["time"] == memory["ends"][:, None], END, 4)
        logits = 20 * torch.nn.functional.one_hot(token.expand_as(ids), VOCAB).float()
        return logits, {"time": state["time"] + 1}


def test_images_that_are_done_are_decoded_no_further():
    ends = [4, 0, 2, 0]
    system = Timed()
    found = beam_search(system, {"ends": torch.tensor(ends)}, start=START, end=END, beam=2)
    assert [best.ids for (best,) in found] == [(4,) * number for number in ends]
    assert system.images == [4, 2, 2, 1, 1]


def test_what_the_prompt_ended_with_may_come_again():
    memory = {"ends": torch.tensor([2])}
    ((best,),) = beam_search(Timed(), memory, start=4, end=END)
    ((drawn,),) = nucleus(Timed(), memory, start=4, end=END, generator=torch.Generator())
    assert best.ids == drawn.ids == (4, 4)


def test_beam_of_one_is_greedy():
    system = make("lstm")
    encoded = encode(system, 1)
    (found,) = beam_search(system, system.prefill(encoded), start=START, end=END, beam=1, max_tokens=5)
    memory = system.prefill(encoded)
    state, token, tokens = system.initial_state(memory), START, []
    for _ in range(5):
        logits, state = system.step(memory, state, torch.tensor([[token]]))
        token = logits.argmax().item()
        if token == END:
            break
        tokens.append(token)
    # Greedy decoding keeps every prefix that might have ended; the best of them is returned.
    assert list(found[0].ids) == tokens[: len(found[0].ids)]


def test_more_captions_than_beams_is_refused():
    system = make("lstm")
    with pytest.raises(ValueError, match="num=3"):
        beam_search(system, system.prefill(encode(system)), start=START, end=END, beam=2, num=3)


def test_no_images_no_captions():
    system = make("attend")
    assert beam_search(system, system.prefill(encode(system, 0)), start=START, end=END) == []


def test_nucleus_draws_from_the_models_distribution():
    system = make("gru")
    encoded = encode(system, 1)
    memory = system.prefill(encoded)
    generator = torch.Generator().manual_seed(0)
    (found,) = nucleus(
        system,
        memory,
        start=START,
        end=END,
        num=4000,
        top_p=1.0,
        max_tokens=1,
        generator=generator,
        banned=BANNED,
    )
    with torch.no_grad():
        logits, _ = system.step(memory, system.initial_state(memory), torch.tensor([[START]]))
    logits[..., BANNED] = -torch.inf
    probability = logits[0, 0].softmax(-1)[END].item()
    share = sum(h.ids == () for h in found) / 4000
    assert abs(share - probability) < 4 * (probability * (1 - probability) / 4000) ** 0.5


def test_a_small_nucleus_is_greedy():
    system = make("lstm")
    memory = system.prefill(encode(system))
    generator = torch.Generator().manual_seed(0)
    sampled = nucleus(
        system, memory, start=START, end=END, num=3, top_p=1e-6, max_tokens=4, generator=generator
    )
    assert all(len({h.ids for h in row}) == 1 for row in sampled)


@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("spread", [0.0, 1.0, 6.0])
def test_a_token_is_drawn_as_from_the_whole_sorted_vocabulary(top_p, spread):
    """Also where the nucleus is larger than the shortlist: equal logits, or nearly."""
    noise = torch.randn(3, 1, 3 * SHORTLIST, generator=torch.Generator().manual_seed(2)) * spread
    noise[0, 0, 5:90] = -torch.inf
    for seed in range(4):
        drawn = sample_top_p(noise, top_p, torch.Generator().manual_seed(seed))
        shares = torch.rand(3, 1, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        for token, logits, share in zip(drawn[:, 0], noise[:, 0], shares.flatten().tolist(), strict=True):
            probs = logits.softmax(-1)
            order = probs.argsort(descending=True, stable=True) if top_p < 1 else torch.arange(len(probs))
            total, kept = 0.0, []
            for i in order.tolist():
                if total >= top_p:
                    break
                total += probs[i].item()
                kept.append((total, i))
            expected = next(i for reached, i in kept if reached > share * total)
            same = probs[token] == probs[expected]  # tied tokens have no order
            assert same if top_p < 1 else token == expected
            assert probs[token] > 0
