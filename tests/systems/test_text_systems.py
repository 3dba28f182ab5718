"""BERT, RoBERTa, GPT and Llama: protocols, overfitting, masking, beam search, limits and published sizes."""

import math

import pytest
import torch

from showtell.data.batch import Batch, Targets, TextBatch, pad
from showtell.errors import UserError
from showtell.protocols import CausalLanguageModel, HasTokenEmbeddings, TextEncoder, Trainable
from showtell.systems.bert import BERT, BERTConfig
from showtell.systems.gpt import GPT, GPTConfig
from showtell.systems.llama import Llama, LlamaConfig
from showtell.systems.roberta import RoBERTa, RoBERTaConfig
from showtell.tasks.decoding import beam_search

SIZES = {"vocab_size": 23, "width": 12, "depth": 2, "num_heads": 3, "mlp_dim": 20, "max_length": 9}
MASK = {"mask_rate": 0.5, "mask_id": 4, "special": (0, 1, 2, 3, 4)}
SMALL = {
    "bert": (BERT, BERTConfig(**SIZES, **MASK)),
    "roberta": (RoBERTa, RoBERTaConfig(**SIZES, **MASK)),
    "gpt": (GPT, GPTConfig(**SIZES)),
    "llama": (Llama, LlamaConfig(**SIZES | {"num_heads": 2}, num_kv_heads=1)),
}


def build(name):
    torch.manual_seed(0)
    cls, config = SMALL[name]
    system = cls(config)
    with torch.no_grad():  # far from the initial weights, so that attention is not uniform
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


def test_they_keep_their_protocols(system):
    for protocol in (Trainable, TextEncoder, HasTokenEmbeddings):
        assert isinstance(system, protocol)
    assert system.token_embeddings().shape == (23, 12)


def test_they_overfit_one_batch(system, batch):
    optimiser = torch.optim.Adam(system.parameters(), 0.01)
    for _ in range(120):
        loss = sum(system(batch, seeded()).losses.values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    # The first tokens of the three texts differ, so a causal model keeps the entropy of one of three.
    assert loss < 0.15 + isinstance(system, CausalLanguageModel) * 3 * math.log(3) / 13


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_masks_are_dynamic_and_decided_by_the_generator_alone(name, batch):
    system = build(name)
    losses = [system(batch, torch.Generator().manual_seed(s)).losses["mlm"].item() for s in (6, 6, 7)]
    assert losses[0] == losses[1] != losses[2]


def test_beam_search_scores_equal_the_models():
    system = build("gpt").eval()
    found = beam_search(system, system.empty_cache(1), start=2, end=3, beam=4, max_tokens=5)[0][0]
    ids = torch.tensor([[2, *found.ids, 3]])
    tokens = system.encode_texts(Batch(texts=TextBatch(ids, torch.ones_like(ids, dtype=torch.bool)))).tokens
    logprobs = system.next_token_logits(tokens).log_softmax(-1)
    total = sum(logprobs[0, t, ids[0, t + 1]].item() for t in range(ids.shape[1] - 1))
    assert found.logprob == pytest.approx(total, abs=1e-4)


def test_a_text_that_is_too_long_is_refused(system, batch):
    long = torch.full((1, 10), 5)
    with pytest.raises(UserError, match="10 tokens, and the model reads at most 9"):
        system.encode_texts(Batch(texts=TextBatch(long, long > 0)))


def test_systems_have_their_published_sizes():
    with torch.device("meta"):
        count = {c: sum(p.numel() for p in c(c.Config()).parameters()) for c in (BERT, GPT, RoBERTa, Llama)}
        opt = GPT(GPTConfig(50272, 2560, 32, 32, 10240, 2048, "relu", first_position=2))
    assert sum(p.numel() for p in opt.parameters()) == 2_651_596_800
    assert count[GPT] == 124_439_808
    assert count[BERT] == 110_106_428
    assert count[RoBERTa] == 124_697_433
    assert count[Llama] == 6_738_415_616
