"""Captions as text."""

import torch

from showtell.data.tokenizers.words import WordTokenizer
from showtell.systems.show_and_tell import ShowAndTell, ShowAndTellConfig
from showtell.tasks.caption import caption
from support.captioners import encode


def test_captions_never_hold_the_unknown_token():
    tokenizer = WordTokenizer.train(["a dog", "a cat"])
    torch.manual_seed(3)
    system = ShowAndTell(ShowAndTellConfig(len(tokenizer), 6, 8, 2, "lstm")).eval()
    with torch.no_grad():
        system.bias[[tokenizer.pad, tokenizer.unknown]] = 50.0
    encoded = encode(system, 2)
    for sample in (None, "nucleus"):
        for row in caption(system, tokenizer, encoded, num=3, sample=sample):
            assert len(row) == 3
            for one in row:
                assert set(one.text.split()) <= {"a", "dog", "cat"}
                assert one.logprob <= one.logprob_per_token <= 0
