"""Sentence encoders are more than their BERT: what their files say is applied, in and out."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from showtell.hub.huggingface.folder import import_folder
from showtell.hub.huggingface.pooling import FLAGS, MODES
from showtell.nn.pool import pool
from showtell.pipelines.export_model import export_model
from showtell.pipelines.import_model import import_model
from showtell.pipelines.model import load_model
from support.pretrained import TEXTS, write_source
from support.sentence import dense, made, pooled, put, tokens_of


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    root = tmp_path_factory.mktemp("sources")
    return {name: write_source(name, root / name) for name in ("encoder",)}


@pytest.fixture
def encoder(sources, tmp_path):
    return made(sources["encoder"][0], tmp_path / "source")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("packed", [False, True])
def test_each_pooling_equals_plain_loops_padded_and_packed(mode, packed):
    torch.manual_seed(0)
    texts = [torch.randn(n, 4) for n in (3, 1, 5)]
    if packed:
        tokens = torch.cat([*texts, torch.full((2, 4), 9.0)])[None]
        positions = torch.tensor([[0, 1, 2, 0, 0, 1, 2, 3, 4, 5, 6]])
        keep = torch.tensor([[True] * 9 + [False] * 2])
    else:
        tokens, positions = torch.full((3, 5, 4), 9.0), None
        for row, text in zip(tokens, texts, strict=True):
            row[: len(text)] = text
        keep = torch.arange(5) < torch.tensor([[3], [1], [5]])
    found = pool((MODES[mode],), tokens, keep, positions)
    torch.testing.assert_close(found, torch.tensor([pooled(mode, text) for text in texts]))


@pytest.mark.parametrize(
    ("said", "modes"),
    [
        *(({"word_embedding_dimension": 12, flag: True}, [mode]) for flag, mode in FLAGS.items()),
        *(({"embedding_dimension": 12, "pooling_mode": mode}, [mode]) for mode in MODES),
        ({"embedding_dimension": 12, "pooling_mode": ["max", "cls"]}, ["max", "cls"]),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, ["cls", "mean"]),
        ({"word_embedding_dimension": 12}, ["mean"]),
    ],
)
def test_the_pooling_of_old_and_new_files_in_and_out(said, modes, sources, tmp_path):
    source, reference = sources["encoder"]
    model = load_model(import_model(str(made(source, tmp_path / "source", said)), tmp_path / "ours")["model"])
    expected = [[x for m in modes for x in pooled(m, tokens_of(reference, model, text))] for text in TEXTS]
    torch.testing.assert_close(model.text_vectors(TEXTS), torch.tensor(expected), atol=1e-5, rtol=1e-5)
    export_model(tmp_path / "ours", tmp_path / "out")
    again = load_model(import_model(str(tmp_path / "out"), tmp_path / "again")["model"])
    assert torch.equal(again.text_vectors(TEXTS), model.text_vectors(TEXTS))


def test_layers_after_the_pooling_in_and_out(sources, tmp_path):
    source, reference = sources["encoder"]
    folder = made(source, tmp_path / "source", None, "Dense", "LayerNorm", "Dropout", "Dense", "Normalize")
    first = dense(folder)
    norm = {"norm.weight": torch.arange(1.0, 6), "norm.bias": torch.arange(5) / 7}
    put(folder, "3_LayerNorm/config.json", {"dimension": 5})
    save_file(norm, folder / "3_LayerNorm" / "model.safetensors")
    put(folder, "4_Dropout/config.json", {"dropout": 0.1})
    last = dense(folder, "5_Dense", 5, 3, activation_function="torch.nn.modules.linear.Identity")
    model = load_model(import_model(str(folder), tmp_path / "ours")["model"])
    for text, found in zip(TEXTS, model.text_vectors(TEXTS), strict=True):
        vector = torch.tensor(pooled("mean", tokens_of(reference, model, text)))
        vector = (first["linear.weight"] @ vector + first["linear.bias"]).tanh()
        vector = (vector - vector.mean()) / (vector.var(unbiased=False) + 1e-5).sqrt()
        vector = (
            last["linear.weight"] @ (vector * norm["norm.weight"] + norm["norm.bias"]) + last["linear.bias"]
        )
        torch.testing.assert_close(found, vector / vector.norm(), atol=1e-5, rtol=1e-5)
    export_model(tmp_path / "ours", tmp_path / "out")
    for file in (
        "modules.json",
        *(f"{n}/config.json" for n in ("2_Dense", "3_LayerNorm", "4_Dropout", "5_Dense")),
    ):
        assert json.loads((tmp_path / "out" / file).read_text()) == json.loads((folder / file).read_text())
    for part in ("2_Dense", "3_LayerNorm", "5_Dense"):
        before, after = (load_file(f / part / "model.safetensors") for f in (folder, tmp_path / "out"))
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)
    assert import_folder(tmp_path / "out").config == model.system.config


@pytest.mark.parametrize(
    ("name", "said", "length"),
    [
        ("sentence_bert_config.json", {"max_seq_length": 8, "do_lower_case": False}, 8),
        ("sentence_roberta_config.json", {"max_seq_length": 8}, 8),
        ("sentence_bert_config.json", {"max_seq_length": None}, 32),
        ("sentence_bert_config.json", {"max_seq_length": 99}, 32),
        ("tokenizer_config.json", {"model_max_length": 9}, 9),
        ("tokenizer_config.json", {"model_max_length": 1e30}, 32),
    ],
)
def test_the_longest_text_is_as_declared_in_and_out(name, said, length, encoder, sources, tmp_path, caplog):
    put(encoder, name, said)
    model = load_model(import_model(str(encoder), tmp_path / "ours")["model"])
    assert model.max_length == length
    assert ("max_seq_length 99" in caplog.text) == (said.get("max_seq_length") == 99)
    text = "a dog running on the grass " * 9
    expected = torch.tensor(pooled("mean", tokens_of(sources["encoder"][1], model, text, length)))
    torch.testing.assert_close(model.text_vectors([text])[0], expected, atol=1e-5, rtol=1e-5)
    export_model(tmp_path / "ours", tmp_path / "out")
    assert json.loads((tmp_path / "out/sentence_bert_config.json").read_text())["max_seq_length"] == length
    assert json.loads((tmp_path / "out/config.json").read_text())["max_position_embeddings"] == 32


def test_prompts_and_lower_case_in_and_out(encoder, sources, tmp_path, caplog):
    said = {"prompts": {"query": "Dog: ", "document": "", "other": "men "}, "default_prompt_name": "query"}
    put(encoder, "config_sentence_transformers.json", said | {"__version__": {"x": "2"}})
    put(encoder, "sentence_bert_config.json", {"max_seq_length": 20, "do_lower_case": True})
    model = load_model(import_model(str(encoder), tmp_path / "ours")["model"])
    assert "prompts that are not applied by themselves: other ('men ')" in caplog.text
    plain = load_model(import_model(str(sources["encoder"][0]), tmp_path / "plain")["model"])
    for text, vector in zip(TEXTS, model.text_vectors(TEXTS), strict=True):
        expected = pooled("mean", tokens_of(sources["encoder"][1], plain, f"Dog: {text}".lower(), 20))
        torch.testing.assert_close(vector, torch.tensor(expected), atol=1e-5, rtol=1e-5)
    assert model.hash != plain.hash
    export_model(tmp_path / "ours", tmp_path / "out")
    assert json.loads((tmp_path / "out/config_sentence_transformers.json").read_text()) == said
    assert json.loads((tmp_path / "out/sentence_bert_config.json").read_text())["do_lower_case"] is True


def test_a_dense_layer_of_an_older_file_is_read(sources, tmp_path):
    made(sources["encoder"][0], tmp_path / "dense", None, "Dense")
    weights = dense(tmp_path / "dense")
    whole = import_folder(tmp_path / "dense")
    (tmp_path / "dense/2_Dense/model.safetensors").unlink()
    torch.save(weights, tmp_path / "dense/2_Dense/pytorch_model.bin")
    again = import_folder(tmp_path / "dense")
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), whole.parameters(), strict=True))
