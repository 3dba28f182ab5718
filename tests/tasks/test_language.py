"""Scores of language models count each predicted token once, whatever the batches."""

import pytest
import torch

from showtell.data.batch import Batch, TextBatch
from showtell.objectives.masked_tokens import Masked
from showtell.protocols import Encoded
from showtell.tasks.language import predict_masked, predict_next

VOCAB = 7


class Bigrams:
    """A language model whose next token, and masked token, depends on one token alone."""

    table = torch.randn(VOCAB, VOCAB, generator=torch.Generator().manual_seed(0))

    def encode_texts(self, batch):
        return Encoded(self.table[batch.texts.ids], self.table[batch.texts.ids[:, 0]], batch.texts.keep)

    def next_token_logits(self, tokens):
        return tokens

    masked_token_logits = next_token_logits


def test_next_tokens_against_loops():
    ids = torch.tensor([[1, 4, 2, 5], [1, 3, 2, 0]])
    keep = torch.tensor([[True] * 4, [True, True, True, False]])
    score = predict_next(
        Bigrams(), [Batch(texts=TextBatch(ids[row, None], keep[row, None])) for row in range(2)]
    )
    pairs = [(1, 4), (4, 2), (2, 5), (1, 3), (3, 2)]
    logprobs = Bigrams.table.log_softmax(-1)
    assert score.count == 5
    assert score.nll == pytest.approx(-sum(logprobs[a, b].item() for a, b in pairs))
    assert score.correct == sum(Bigrams.table[a].argmax().item() == b for a, b in pairs)


def test_no_token_is_predicted_from_another_packed_text():
    ids = torch.tensor([[1, 4, 1, 5]])
    packed = Batch(texts=TextBatch(ids, torch.ones_like(ids).bool(), sequences=torch.tensor([[0, 0, 1, 1]])))
    score = predict_next(Bigrams(), [packed])
    logprobs = Bigrams.table.log_softmax(-1)
    assert (score.count, score.nll) == (2, pytest.approx(-(logprobs[1, 4] + logprobs[1, 5]).item()))


def test_masked_tokens_are_predicted_from_the_corrupted_ids():
    ids, corrupted = torch.tensor([[1, 4, 2, 5]]), torch.tensor([[1, 6, 2, 3]])
    masked = torch.tensor([[False, True, False, True]])
    batch = Batch(texts=TextBatch(ids, torch.ones_like(ids).bool()))
    score = predict_masked(Bigrams(), [(batch, Masked(corrupted, masked))])
    logprobs = Bigrams.table.log_softmax(-1)
    assert (score.count, score.nll) == (2, pytest.approx(-(logprobs[6, 4] + logprobs[3, 5]).item()))
