"""Captions as text."""

import torch

from showtell.cli.options import DEFAULT_BEAM
from showtell.data.tokenizers.words import WordTokenizer
from showtell.systems.show_and_tell import ShowAndTell, ShowAndTellConfig
from showtell.tasks.caption import BEAM, caption
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


def test_the_best_of_a_beam_agrees_most_with_all_or_is_the_most_probable():
    tokenizer = WordTokenizer.train(["a dog runs", "a cat sits", "two dogs sit"])
    torch.manual_seed(1)
    system = ShowAndTell(ShowAndTellConfig(len(tokenizer), 6, 8, 2, "lstm")).eval()
    encoded = encode(system, 3)
    likely = caption(system, tokenizer, encoded, beam=6, num=6, consensus=False)
    agreed = caption(system, tokenizer, encoded, beam=6, num=6)
    first = caption(system, tokenizer, encoded, beam=6, num=1)
    assert any(a != b for a, b in zip(likely, agreed, strict=True))
    for a, b, c in zip(likely, agreed, first, strict=True):
        assert sorted(one.text for one in a) == sorted(one.text for one in b)
        assert c == b[:1]


def test_the_command_line_has_as_many_hypotheses_as_the_library():
    assert DEFAULT_BEAM == BEAM
