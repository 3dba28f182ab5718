"""Beam search equals exhaustive search; sampling follows the model; inversion descends."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from showtell.data.batch import Batch, ImageBatch
from showtell.data.tokenizers.words import WordTokenizer
from showtell.protocols import Encoded
from showtell.systems.show_and_tell import ShowAndTell, ShowAndTellConfig
from showtell.systems.show_attend_and_tell import ShowAttendAndTell, ShowAttendAndTellConfig
from showtell.tasks.caption import caption
from showtell.tasks.decoding import beam_search, nucleus
from showtell.tasks.inversion import Prior, invert, nearest
from showtell.tasks.likelihood import likelihood

START, END, VOCAB, MAX_WORDS = 1, 2, 6, 3
BANNED = (0, 3)


def make(kind: str, seed: int = 0):
    torch.manual_seed(seed)
    if kind == "attend":
        system = ShowAttendAndTell(ShowAttendAndTellConfig(VOCAB, 6, 7, 8, 9, 5))
    else:
        system = ShowAndTell(ShowAndTellConfig(VOCAB, 6, 8, 2, kind))
    for parameter in system.parameters():
        parameter.data.normal_(std=0.9)  # far from uniform, so that order matters
    return system.eval()


def encode(system, images: int = 3, seed: int = 1) -> Encoded:
    grid = torch.rand(images, 4, 6, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return system.encode_images(Batch(ImageBatch(features=grid)))


def exhaustive(system, encoded, image, penalty):
    """Every caption of at most MAX_WORDS words, scored by teacher forcing, best first."""
    allowed = [i for i in range(VOCAB) if i not in (START, END, *BANNED)]
    one = Encoded(encoded.tokens[image : image + 1], encoded.pooled[image : image + 1])
    memory = system.prefill(one)
    scored = []
    for length in range(MAX_WORDS + 1):
        for words in itertools.product(allowed, repeat=length):
            ids = torch.tensor([[START, *words, END]])
            logits = system.teacher_forced_logits(
                memory, torch.zeros(1, dtype=torch.long), ids, torch.ones_like(ids).bool()
            )
            logits[:, [START, *BANNED]] = -torch.inf
            logprob = logits.log_softmax(-1).gather(1, ids[0, 1:, None]).sum().item()
            scored.append((logprob / (length + 1) ** penalty, words, logprob))
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
            beam=VOCAB**MAX_WORDS,
            num=4,
            max_words=MAX_WORDS,
            length_penalty=penalty,
            banned=BANNED,
        )
        for image, hypotheses in enumerate(found):
            truth = exhaustive(system, encoded, image, penalty)[:4]
            assert [h.ids for h in hypotheses] == [ids for _, ids, _ in truth]
            assert [h.logprob for h in hypotheses] == pytest.approx([p for _, _, p in truth], abs=1e-4)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), beam=st.integers(1, 5))
def test_a_batch_says_what_each_image_says_alone(seed, beam):
    system = make("attend", seed)
    encoded = encode(system, seed=seed)
    options = {"start": START, "end": END, "beam": beam, "num": beam, "max_words": 6}
    together = beam_search(system, system.prefill(encoded), **options)
    for image in range(3):
        one = Encoded(encoded.tokens[image : image + 1], encoded.pooled[image : image + 1])
        (alone,) = beam_search(system, system.prefill(one), **options)
        assert [h.ids for h in alone] == [h.ids for h in together[image]]


def test_beam_of_one_is_greedy():
    system = make("lstm")
    encoded = encode(system, 1)
    (found,) = beam_search(system, system.prefill(encoded), start=START, end=END, beam=1, max_words=5)
    memory = system.prefill(encoded)
    state, word, words = system.initial_state(memory), START, []
    for _ in range(5):
        logits, state = system.step(memory, state, torch.tensor([[word]]))
        logits[..., START] = -torch.inf
        word = logits.argmax().item()
        if word == END:
            break
        words.append(word)
    # Greedy decoding notes every place where it might have ended; the best of them begins its words.
    assert list(found[0].ids) == words[: len(found[0].ids)]


def test_more_captions_than_beams_is_refused():
    system = make("lstm")
    with pytest.raises(ValueError, match="num=3"):
        beam_search(system, system.prefill(encode(system)), start=START, end=END, beam=2, num=3)


def test_no_images_no_captions():
    system = make("attend")
    assert beam_search(system, system.prefill(encode(system, 0)), start=START, end=END) == []


def test_nucleus_draws_what_the_model_says():
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
        max_words=1,
        generator=generator,
        banned=BANNED,
    )
    with torch.no_grad():
        logits, _ = system.step(memory, system.initial_state(memory), torch.tensor([[START]]))
    logits[..., [START, *BANNED]] = -torch.inf
    probability = logits[0, 0].softmax(-1)[END].item()
    share = sum(h.ids == () for h in found) / 4000
    assert abs(share - probability) < 4 * (probability * (1 - probability) / 4000) ** 0.5


def test_a_small_nucleus_is_greedy():
    system = make("lstm")
    memory = system.prefill(encode(system))
    generator = torch.Generator().manual_seed(0)
    sampled = nucleus(
        system, memory, start=START, end=END, num=3, top_p=1e-6, max_words=4, generator=generator
    )
    assert all(len({h.ids for h in row}) == 1 for row in sampled)


def test_likelihood_is_the_mean_log_probability():
    system = make("attend")
    encoded = encode(system, 5)
    ids = [START, 4, 5, END]
    scores = likelihood(system, ids, system.prefill(encoded), chunk=2)
    for image in range(5):
        one = Encoded(encoded.tokens[image : image + 1], encoded.pooled[image : image + 1])
        memory = system.prefill(one)
        state, total = system.initial_state(memory), 0.0
        for word, target in itertools.pairwise(ids):
            logits, state = system.step(memory, state, torch.tensor([[word]]))
            total += logits[0, 0].log_softmax(-1)[target].item()
        assert scores[image].item() == pytest.approx(total / 3, abs=1e-5)


@pytest.mark.parametrize("kind", ["lstm", "gru", "attend"])
def test_inversion_descends_and_leaves_the_network_alone(kind):
    system = make(kind)
    before = {k: v.clone() for k, v in system.state_dict().items()}
    encoded = encode(system, 40)
    prior = Prior.of(encoded.pooled)
    queries = [[START, 4, 5, END], [START, 5, END]]
    found = invert(system, queries, prior, starts=3, steps=60, tolerance=-1.0)
    for inversion in found:
        assert inversion.losses[-1] < inversion.losses[0] - 0.05
        assert inversion.vectors.shape == (3, encoded.pooled.shape[1])
    assert all(torch.equal(v, before[k]) for k, v in system.state_dict().items())
    assert all(p.grad is None for p in system.parameters())
    again = invert(system, queries, prior, starts=3, steps=60, tolerance=-1.0)
    assert torch.equal(found[0].vectors, again[0].vectors)


def test_the_prior_stays_on_the_device_of_the_images():
    prior = Prior.of(torch.empty(5, 8, device="meta"))
    assert prior.basis.shape == (8, 5)
    assert prior.mean.device.type == prior.basis.device.type == "meta"


def test_inversion_stops_when_nothing_is_gained_or_enough_is():
    system = make("lstm")
    prior = Prior.of(encode(system, 40).pooled)
    assert len(invert(system, [[START, 4, END]], prior, steps=500, tolerance=0.5)[0].losses) <= 30
    assert len(invert(system, [[START, 4, END]], prior, steps=500, threshold=1e9)[0].losses) == 1


def test_the_imagined_image_is_nearest_to_itself():
    system = make("lstm")
    encoded = encode(system, 40)
    prior = Prior.of(encoded.pooled)
    (inversion,) = invert(system, [[START, 4, END]], prior, starts=1, steps=5)
    images = torch.cat([encoded.pooled, inversion.vectors])
    scores = nearest(inversion, images)
    assert scores.argmax() == 40
    assert scores[40].item() == pytest.approx(1.0, abs=1e-5)


def test_captions_never_say_unknown():
    tokenizer = WordTokenizer.train(["a dog", "a cat"])
    system = make("lstm", seed=3)
    system = ShowAndTell(ShowAndTellConfig(len(tokenizer), 6, 8, 2, "lstm")).eval()
    with torch.no_grad():
        system.output.bias[[tokenizer.pad, tokenizer.unknown]] = 50.0
    encoded = encode(system, 2)
    for sample in (None, "nucleus"):
        for row in caption(system, tokenizer, encoded, num=3, sample=sample):
            assert len(row) == 3
            for said in row:
                assert set(said.text.split()) <= {"a", "dog", "cat"}
                assert said.logprob <= said.logprob_per_token <= 0
