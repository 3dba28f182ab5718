"""BERT, RoBERTa and GPT: they learn, padding cannot be seen, no word sees the future, the cache is exact."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from showtell.data.batch import Batch, Targets, TextBatch, pad
from showtell.errors import UserError
from showtell.protocols import HasTokenEmbeddings, TextEncoder, Trainable
from showtell.systems.bert import BERT, BERTConfig
from showtell.systems.gpt import GPT, GPTConfig
from showtell.systems.roberta import RoBERTa, RoBERTaConfig
from showtell.tasks.decoding import beam_search

SIZES = {"vocab_size": 23, "width": 12, "depth": 2, "num_heads": 3, "mlp_dim": 20, "max_length": 9}
HIDE = {"mask_rate": 0.5, "mask_id": 4, "special": (0, 1, 2, 3, 4)}
SMALL = {
    "bert": (BERT, BERTConfig(**SIZES, **HIDE)),
    "roberta": (RoBERTa, RoBERTaConfig(**SIZES, **HIDE)),
    "gpt": (GPT, GPTConfig(**SIZES)),
}


def build(name):
    torch.manual_seed(0)
    cls, config = SMALL[name]
    system = cls(config)
    with torch.no_grad():  # far from the small start, so that attention is not uniform
        for weight in system.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)
    return system


@pytest.fixture(params=SMALL)
def system(request):
    return build(request.param)


@pytest.fixture
def batch():
    ids, keep = pad([[2, 5, 6, 7, 3], [2, 8, 9, 3], [2, 10, 11, 12, 13, 14, 3]])
    segments = (torch.arange(ids.shape[1]) > 2).long().expand_as(ids)
    return Batch(
        texts=TextBatch(ids, keep, segments=segments),
        targets=Targets(follows=torch.tensor([True, False, True])),
    )


def seeded():
    return torch.Generator().manual_seed(6)


def test_they_keep_their_promises(system):
    for protocol in (Trainable, TextEncoder, HasTokenEmbeddings):
        assert isinstance(system, protocol)
    assert system.token_embeddings().shape == (23, 12)


def test_padding_cannot_be_seen(system, batch):
    texts = replace(
        batch.texts,
        ids=F.pad(batch.texts.ids, (0, 2), value=7),
        keep=F.pad(batch.texts.keep, (0, 2)),
        segments=F.pad(batch.texts.segments, (0, 2)),
    )
    short, long = system.encode_texts(batch), system.encode_texts(Batch(texts=texts))
    torch.testing.assert_close(short.tokens[batch.texts.keep], long.tokens[texts.keep], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(short.pooled, long.pooled, atol=1e-5, rtol=1e-5)


def test_every_weight_gets_a_gradient(system, batch):
    step = system(batch, seeded())
    assert step.losses.keys() == system.loss_weights.keys()
    sum(step.losses.values()).backward()
    untouched = [n for n, p in system.named_parameters() if p.grad is None or not p.grad.any()]
    assert untouched == []


def test_they_learn_one_batch(system, batch):
    optimiser = torch.optim.Adam(system.parameters(), 0.01)
    for _ in range(120):
        loss = sum(system(batch, seeded()).losses.values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    # After the start GPT meets three first words, and keeps the entropy of three sides of a die.
    assert loss < 0.15 + isinstance(system, GPT) * 3 * math.log(3) / 13


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_hidden_words_are_hidden_anew_and_by_the_generator_alone(name, batch):
    system = build(name)
    losses = [system(batch, torch.Generator().manual_seed(s)).losses["mlm"].item() for s in (6, 6, 7)]
    assert losses[0] == losses[1] != losses[2]


def test_no_word_of_gpt_sees_the_future(batch):
    system = build("gpt")
    before = system.encode_texts(batch).tokens[2]
    after = system.encode_texts(
        replace(
            batch,
            texts=replace(batch.texts, ids=batch.texts.ids.clone().index_fill_(1, torch.tensor([4]), 20)),
        )
    ).tokens[2]
    assert torch.equal(before[:4], after[:4])
    assert not torch.allclose(before[4:], after[4:])


def test_a_few_words_at_a_time_say_what_the_whole_says(batch):
    system = build("gpt")
    whole = system.encode_texts(batch).tokens
    tokens, state = system.extend(system.empty_cache(3), batch.texts.ids[:, :2], batch.texts.keep[:, :2])
    parts = [tokens]
    for t in range(2, batch.texts.ids.shape[1], 2):
        tokens, state = system.extend(state, batch.texts.ids[:, t : t + 2], batch.texts.keep[:, t : t + 2])
        parts.append(tokens)
    torch.testing.assert_close(
        torch.cat(parts, 1)[batch.texts.keep], whole[batch.texts.keep], atol=1e-5, rtol=1e-5
    )


def test_prompts_of_different_lengths_go_on_as_if_alone(batch):
    system = build("gpt")
    _, together = system.extend(system.empty_cache(3), batch.texts.ids, batch.texts.keep)
    logits, _ = system.step({}, system.initial_state(together), torch.tensor([[15]] * 3))
    for row, (ids, keep) in enumerate(zip(batch.texts.ids, batch.texts.keep, strict=True)):
        alone = torch.cat([ids[keep], torch.tensor([15])])[None]
        expected = system.encode_texts(
            Batch(texts=TextBatch(alone, torch.ones_like(alone, dtype=torch.bool)))
        ).pooled
        torch.testing.assert_close(
            logits[row, 0], system.next_token_logits(expected)[0], atol=1e-5, rtol=1e-5
        )


def test_gpt_is_decoded_like_any_other_system():
    system = build("gpt").eval()
    found = beam_search(system, system.empty_cache(1), start=2, end=3, beam=4, max_tokens=5)[0][0]
    ids = torch.tensor([[2, *found.ids, 3]])
    tokens = system.encode_texts(Batch(texts=TextBatch(ids, torch.ones_like(ids, dtype=torch.bool)))).tokens
    # The search never says the start again.
    logits = system.next_token_logits(tokens).index_fill(-1, torch.tensor([2]), -torch.inf)
    logprobs = logits.log_softmax(-1)
    total = sum(logprobs[0, t, ids[0, t + 1]].item() for t in range(ids.shape[1] - 1))
    assert found.logprob == pytest.approx(total, abs=1e-4)


def test_a_text_that_is_too_long_is_refused(system, batch):
    long = torch.full((1, 10), 5)
    with pytest.raises(UserError, match="10 tokens, and the model reads at most 9"):
        system.encode_texts(Batch(texts=TextBatch(long, long > 0)))


def test_bert_base_and_gpt2_have_their_published_sizes():
    with torch.device("meta"):
        count = {c: sum(p.numel() for p in c(c.Config()).parameters()) for c in (BERT, GPT, RoBERTa)}
    assert count[GPT] == 124_439_808
    assert count[BERT] == 110_106_428
    assert count[RoBERTa] == 124_697_433
