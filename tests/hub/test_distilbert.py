"""DistilBERT equals the reference library: forward pass, every gradient, import and export."""

import pytest
import torch
from safetensors.torch import load_file

from showtell.data.batch import Batch, TextBatch, pad
from showtell.hub.huggingface.families.distilbert import table
from showtell.hub.huggingface.folder import export_folder, import_folder
from showtell.systems.bert import BERTEncoder, BERTEncoderConfig
from support.hf import imported, same_gradients


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("distilbert")
    reference = transformers.DistilBertModel(
        transformers.DistilBertConfig(
            vocab_size=37, max_position_embeddings=19, n_layers=2, n_heads=3, dim=12, hidden_dim=21
        )
    )
    return reference, imported(reference, folder), folder


@pytest.mark.parametrize("rows", [[[5, 6, 7], [8, 9, 10]], [[5, 6, 7, 8, 9], [10]]], ids=["full", "padded"])
def test_forward_and_every_gradient(pair, rows):
    reference, ours, _ = pair
    ids, keep = pad(rows)
    expected = reference(input_ids=ids, attention_mask=keep.long()).last_hidden_state[keep]
    encoded = ours.encode_texts(Batch(texts=TextBatch(ids, keep)))
    tokens = encoded.tokens[keep]
    torch.testing.assert_close(tokens, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(encoded.pooled[0], tokens[: len(rows[0])].mean(0))
    weights = torch.randn(tokens.shape, generator=torch.Generator().manual_seed(3)) / 30
    ours.zero_grad()
    reference.zero_grad()
    (tokens * weights).sum().backward()
    (expected * weights).sum().backward()
    same_gradients(ours, reference, table(ours.config))


def test_export_and_import_keep_every_bit(pair, tmp_path):
    reference, ours, folder = pair
    export_folder(ours, tmp_path)
    before, after = load_file(folder / "model.safetensors"), load_file(tmp_path / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert import_folder(tmp_path).config == ours.config
    theirs = type(reference).from_pretrained(tmp_path)
    for name, weight in theirs.state_dict().items():
        assert torch.equal(weight, reference.state_dict()[name]), name


def test_an_encoder_with_segments_is_exported_as_bert(tmp_path):
    sizes = {"vocab_size": 9, "width": 4, "depth": 1, "num_heads": 1, "mlp_dim": 4, "pooler": False}
    export_folder(BERTEncoder(BERTEncoderConfig(num_segments=2, **sizes)), tmp_path)
    assert '"model_type": "bert"' in (tmp_path / "config.json").read_text()
