"""Search by the likelihood of the query: bfloat16 says where to compute float32, never what is found."""

from pathlib import Path

import numpy as np
import pytest
import torch

from showtell.data.captions.read import read_captions
from showtell.datasets.captions import divide
from showtell.evaluation.evaluate import encode_entries
from showtell.evaluation.retrieval import EncodedImages
from showtell.pipelines.engines import likelihood as engine
from showtell.pipelines.model import load_model
from showtell.protocols import Encoded
from showtell.tasks.likelihood import likelihood

QUERIES = ["a dog on the grass", "a red square", "a child in the snow", "two dogs"]


def searched(encoded: Encoded) -> EncodedImages:
    return EncodedImages([Path(f"{row}.jpg") for row in range(len(encoded.pooled))], encoded, [], [])


@pytest.fixture
def noise(checkpoint):
    """A tiny captioner and 200 images of noise."""
    model = load_model(checkpoint, "cpu")
    shape = model.prepare(np.zeros((8, 8, 3), np.uint8)).shape
    pixels = np.random.default_rng(0).integers(256, size=(200, *shape), dtype=np.uint8)
    return model, model.encode(list(pixels))


def float32(model, encoded, ids):
    with torch.inference_mode():
        return likelihood(model.system, ids, model.system.prefill(encoded))


@pytest.mark.parametrize("cache", [0, 2**30])
@pytest.mark.parametrize("units", [True, False])
def test_the_best_are_those_of_float32(noise, monkeypatch, units, cache):
    monkeypatch.setattr(engine, "has_fast_bfloat16", lambda device: units)
    monkeypatch.setattr(engine, "CACHE_BYTES", cache)
    monkeypatch.setattr(engine, "CHUNK", 64)
    model, encoded = noise
    made, counts = engine.Likelihood(searched(encoded), model), []

    def counting(system, ids, memory):
        counts.append(len(memory["h"]))
        return likelihood(system, ids, memory)

    monkeypatch.setattr(engine, "likelihood", counting)
    texts = [model.read_text(query) for query in QUERIES]
    for text, answer in zip(texts, made.find(texts, 5), strict=True):
        exact = float32(model, encoded, text.ids)
        best = exact.topk(5)
        assert [hit.row for hit in answer.hits] == best.indices.tolist()
        assert [hit.score for hit in answer.hits] == pytest.approx(best.values.tolist(), abs=1e-6)
    rough = units and cache > 0  # else a copy of the captioner is too large
    assert counts[:4] == [64, 64, 64, 8]
    assert (16 <= counts[4] < 64) == rough
    counts.clear()
    everything = next(made.find(texts[:1], 200))
    assert counts == [64, 64, 64, 8], "all are wanted: float32 at once"
    assert len(everything.hits) == 200


@pytest.mark.slow
def test_the_shipped_captioner_finds_what_it_finds_in_float32(shared_data, monkeypatch):
    monkeypatch.setattr(engine, "has_fast_bfloat16", lambda device: True)
    model = load_model(device="cpu")
    entries = divide(read_captions(shared_data / "flickr8k").entries)["val"][:300]
    entries, encoded, _ = encode_entries(model, entries)
    made = engine.Likelihood(searched(encoded), model)
    texts = [model.read_text(entry.captions[0]) for entry in entries[:50]]
    for text, answer in zip(texts, made.find(texts, 10), strict=True):
        exact = float32(model, encoded, text.ids)
        best = exact.topk(10).values
        rows = [hit.row for hit in answer.hits]
        torch.testing.assert_close(torch.tensor([hit.score for hit in answer.hits]), best, rtol=0, atol=2e-6)
        torch.testing.assert_close(exact[rows], best, rtol=0, atol=2e-6)
