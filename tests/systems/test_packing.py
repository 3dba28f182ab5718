"""Texts packed into one row have the tokens, losses and gradients of texts in rows of their own."""

import pytest
import torch

from showtell.data.batch import Batch, Targets, TextBatch, pad
from showtell.objectives.masked_tokens import Masked
from showtell.systems import bert, gpt, roberta

SIZES = {"vocab_size": 23, "width": 12, "depth": 2, "num_heads": 3, "mlp_dim": 20, "max_length": 16}
MASK = {"mask_id": 4, "special": (0, 1, 2, 3, 4)}
SMALL = {
    "bert": lambda: bert.BERT(bert.BERTConfig(**SIZES, **MASK)),
    "bert, mean": lambda: bert.BERT(bert.BERTConfig(**SIZES, **MASK, pooling="mean")),
    "roberta": lambda: roberta.RoBERTa(roberta.RoBERTaConfig(**SIZES, **MASK)),
    "gpt": lambda: gpt.GPT(gpt.GPTConfig(**SIZES)),
}
TEXTS = [[2, 5, 6, 7, 3], [2, 8, 9, 3], [2, 10, 11, 12, 13, 14, 3], [2, 3], [2, 15, 16, 5, 17, 3]]
SEGMENTS = [[0, 0, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 1, 1, 1, 1], [0, 0], [0, 1, 1, 1, 1, 1]]
FOLLOWS = torch.tensor([True, False, False, True, True])
ROWS = [[0, 1, 3], [2, 4]]


@pytest.fixture(params=SMALL)
def system(request):
    torch.manual_seed(0)
    system = SMALL[request.param]()
    with torch.no_grad():  # far from the initial weights, so that attention is not uniform
        for weight in system.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)
    return system


def joined(values, padding=0):
    return pad([[v for i in row for v in values[i]] for row in ROWS], padding)[0]


@pytest.fixture
def padded():
    ids, keep = pad(TEXTS)
    return Batch(texts=TextBatch(ids, keep, segments=pad(SEGMENTS)[0]), targets=Targets(follows=FOLLOWS))


@pytest.fixture
def packed():
    order = [i for row in ROWS for i in row]
    return Batch(
        texts=TextBatch(
            joined(TEXTS),
            joined([[1] * len(text) for text in TEXTS]).bool(),
            segments=joined(SEGMENTS),
            sequences=joined([[i] * len(text) for i, text in enumerate(TEXTS)]),
            positions=joined([range(len(text)) for text in TEXTS]),
        ),
        targets=Targets(follows=FOLLOWS[order]),
    )


def test_packed_texts_are_encoded_as_if_alone(system, padded, packed):
    alone, together = system.encode_texts(padded), system.encode_texts(packed)
    order = [i for row in ROWS for i in row]
    words = torch.cat([alone.tokens[i, : len(TEXTS[i])] for i in order])
    torch.testing.assert_close(together.tokens[packed.texts.keep], words, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(together.pooled, alone.pooled[order], atol=1e-5, rtol=1e-5)


@pytest.fixture
def _masks_by_token(monkeypatch):
    """Mask the same tokens in either layout."""

    def mask(ids, keep, *, mask_id, **_):
        masked = keep & (ids > 4) & (ids % 3 == 2)
        return Masked(torch.where(masked, mask_id, ids), masked)

    for module in (bert, roberta):
        monkeypatch.setattr(module, "mask_tokens", mask)


@pytest.mark.usefixtures("_masks_by_token")
def test_packed_texts_have_the_losses_and_gradients_of_padded_ones(system, padded, packed):
    found = []
    for batch in (padded, packed):
        system.zero_grad()
        losses = system(batch, torch.Generator()).losses
        sum(losses.values()).backward()
        found.append(
            (losses, {n: p.grad.clone() for n, p in system.named_parameters() if p.grad is not None})
        )
    (losses, gradients), (packed_losses, packed_gradients) = found
    for name, loss in losses.items():
        torch.testing.assert_close(packed_losses[name], loss, atol=1e-5, rtol=1e-5)
    assert packed_gradients.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(packed_gradients[name], gradient, atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.usefixtures("_masks_by_token")
def test_parts_of_a_packed_batch_are_weighted_by_their_counts(system, packed):
    whole = system(packed, torch.Generator())
    parts = [system(packed.part(i, 2), torch.Generator()) for i in range(2)]
    for name, loss in whole.losses.items():
        counts = torch.tensor([float(part.counts[name]) for part in parts])
        assert counts.sum() == float(whole.counts[name])
        together = sum(n * part.losses[name] for n, part in zip(counts, parts, strict=True)) / counts.sum()
        torch.testing.assert_close(together, loss, atol=1e-5, rtol=1e-5)
