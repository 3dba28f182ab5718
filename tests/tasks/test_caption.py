"""Captions as text."""

import pytest
import torch
from torch.nn import functional as F

from showtell import tasks
from showtell.cli.options import DEFAULT_BEAM
from showtell.data.batch import Batch, TextBatch
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.data.tokenizers.words import WordTokenizer
from showtell.systems.blip import BLIPConfig
from showtell.systems.show_and_tell import ShowAndTell, ShowAndTellConfig
from showtell.tasks.caption import BEAM, caption
from support.captioners import encode
from support.tiny import batch, tiny


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


def test_a_model_that_compares_images_with_texts_chooses_captions_that_are_like_their_image(monkeypatch):
    tokenizer = SubwordTokenizer.train(["a dog runs", "a cat sits down", "two dogs"] * 2, "wordpiece", 40)
    torch.manual_seed(0)
    system = tiny(BLIPConfig()).with_tokenizer(tokenizer).build().eval()
    given = []
    monkeypatch.setattr(tasks.caption, "by_consensus", lambda row, own: given.append((row, own)) or row)
    with torch.no_grad():
        encoded = system.encode_images(batch())
        caption(system, tokenizer, encoded, beam=4)
        assert len(given) == len(encoded.pooled) > 1
        for image, (row, cosines) in zip(encoded.pooled, given, strict=True):
            for one, cosine in zip(row, cosines, strict=True):
                ids = torch.tensor([[tokenizer.start, *one.ids, tokenizer.end]])
                (alone,) = system.text_vectors(Batch(texts=TextBatch(ids, ids >= 0)))
                assert cosine == pytest.approx(float(F.cosine_similarity(image, alone, dim=0)), abs=1e-5)


def test_the_command_line_has_as_many_hypotheses_as_the_library():
    assert DEFAULT_BEAM == BEAM
