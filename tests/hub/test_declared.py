"""What a folder declares decides what it is, and what of it showtell does not have is refused by name."""

import logging

import pytest
import torch

from showtell.cli.main import run
from showtell.data.batch import Batch, TextBatch, pad
from showtell.errors import UserError
from showtell.hub.huggingface.folder import export_folder, import_folder
from showtell.pipelines.export_model import export_model
from showtell.pipelines.import_model import import_model
from showtell.pipelines.model import load_model
from showtell.systems.bert import BERT, BERTConfig, BERTEncoder
from support.pretrained import TEXTS, write_source
from support.sentence import OLD, broken, dense, made, pooled, put, tokens_of


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    root = tmp_path_factory.mktemp("sources")
    return {
        name: write_source(name, root / name) for name in ("encoder", "bert", "distilbert", "roberta", "gpt2")
    }


@pytest.fixture
def encoder(sources, tmp_path):
    return made(sources["encoder"][0], tmp_path / "source")


REFUSED = {
    "a module that is none of ours": (
        "modules.json",
        lambda m: m[2].update(type=OLD + "CNN"),
        "has the module sentence_transformers.models.CNN",
    ),
    "code of the folder": (
        "modules.json",
        lambda m: m[0].update(type="custom.Mine"),
        "has the module custom.Mine",
    ),
    "a path out of the folder": (
        "modules.json",
        lambda m: m[2].update(path="../x"),
        "leads out of the folder",
    ),
    "arguments": ("modules.json", lambda m: m[0].update(kwargs=["task"]), "kwargs .* not supported"),
    "no pooling": ("modules.json", lambda m: m.pop(1), "lists Transformer, Dense"),
    "a layer before the pooling": (
        "modules.json",
        lambda m: m.insert(1, m.pop(2)),
        "has Dense before the Pooling",
    ),
    "no list": ("modules.json", lambda m: m.__setitem__(0, 3), "lists no modules"),
    "a pooling": (
        "1_Pooling/config.json",
        lambda m: m.update(pooling_mode="median"),
        "'median' is none of cls, max",
    ),
    "a width": ("1_Pooling/config.json", lambda m: m.update(embedding_dimension=9), "width 9, not 12"),
    "an activation": (
        "2_Dense/config.json",
        lambda m: m.update(activation_function="my.Act"),
        "'my.Act' is none of",
    ),
    "a residual": ("2_Dense/config.json", lambda m: m.update(use_residual=True), "use_residual True is not"),
    "another input": (
        "2_Dense/config.json",
        lambda m: m.update(module_input_name="tokens"),
        "module_input_name",
    ),
    "no width": ("2_Dense/config.json", lambda m: m.pop("out_features"), "lacks 'out_features'"),
    "another width": (
        "2_Dense/config.json",
        lambda m: m.update(out_features=4),
        r"2_Dense\.linear\.weight is \[",
    ),
    "a task": (
        "sentence_bert_config.json",
        lambda m: m.update(transformer_task="fill-mask"),
        "'fill-mask' is not",
    ),
    "arguments of loading": (
        "sentence_bert_config.json",
        lambda m: m.update(model_args={"a": 1}),
        "model_args",
    ),
    "no length": ("sentence_bert_config.json", lambda m: m.update(max_seq_length="8"), "at most '8' tokens"),
    "another kind": (
        "config_sentence_transformers.json",
        lambda m: m.update(model_type="SparseEncoder"),
        "'SparseEncoder' is not",
    ),
    "an unknown prompt": (
        "config_sentence_transformers.json",
        lambda m: m.update(default_prompt_name="q"),
        "default_prompt_name 'q'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_applied_is_refused_by_name(case, sources, tmp_path):
    folder = made(sources["encoder"][0], tmp_path / "source", None, "Dense")
    dense(folder)
    import_folder(folder)
    name, change, message = REFUSED[case]
    broken(folder, name, change)
    with pytest.raises(UserError, match=message):
        import_folder(folder)


def test_a_prompt_that_is_not_pooled_is_refused(encoder):
    put(encoder, "1_Pooling/config.json", {"pooling_mode": "mean", "include_prompt": False})
    import_folder(encoder)
    put(encoder, "config_sentence_transformers.json", {"prompts": {"q": "Q: "}, "default_prompt_name": "q"})
    with pytest.raises(UserError, match="include_prompt false is not supported with a default prompt"):
        import_folder(encoder)


def test_a_pooling_of_a_decoder_is_refused(sources, tmp_path, capsys):
    folder = made(sources["gpt2"][0], tmp_path / "source", {"pooling_mode": "weightedmean"})
    assert run(["import", str(folder), "--output", str(tmp_path / "out")]) == 1
    assert "declares a pooling, which showtell has for BERT and its kin alone" in capsys.readouterr().err


def test_the_bert_of_older_folders_lies_in_a_folder_of_its_own(encoder, tmp_path):
    whole = import_folder(encoder)
    (encoder / "0_Transformer").mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (encoder / name).rename(encoder / "0_Transformer" / name)
    broken(encoder, "modules.json", lambda m: m[0].update(path="0_Transformer"))
    put(encoder, "0_Transformer/sentence_bert_config.json", {"max_seq_length": 7})
    model = load_model(import_model(str(encoder), tmp_path / "ours")["model"])
    assert model.max_length == 7
    assert all(torch.equal(a, b) for a, b in zip(model.system.parameters(), whole.parameters(), strict=True))


@pytest.mark.parametrize("name", ["bert", "distilbert", "roberta"])
@pytest.mark.parametrize("mode", ["mean", "cls"])
def test_the_declared_pooling_wins_over_heads_that_lie_in_the_folder(name, mode, sources, tmp_path, caplog):
    source, reference = sources[name]
    folder = made(source, tmp_path / "source", {"pooling_mode": mode})
    (folder / "modules.json").unlink()
    model = load_model(import_model(str(folder), tmp_path / "ours")["model"])
    assert type(model.system) is BERTEncoder
    assert "the folder declares a sentence encoder; left out: " in caplog.text
    expected = torch.tensor([pooled(mode, tokens_of(reference, model, text)) for text in TEXTS])
    torch.testing.assert_close(model.text_vectors(TEXTS), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("declared", "heads"),
    [("BertModel", None), ("BertForMaskedLM", False), ("BertForPreTraining", True)],
)
def test_the_declared_class_counts_not_spare_tensors(declared, heads, sources, tmp_path, caplog):
    folder = tmp_path / "source"
    made(sources["bert"][0], folder)
    for name in ("modules.json", "1_Pooling/config.json"):
        (folder / name).unlink()
    broken(folder, "config.json", lambda c: c.update(architectures=[declared]))
    caplog.set_level(logging.WARNING)
    system = import_folder(folder)
    assert isinstance(system, BERT) == (heads is not None)
    if heads is not None:
        assert system.predicts_next_sentence == heads
    assert ("left out: cls." in caplog.text) == (declared != "BertForPreTraining")
    batch = Batch(texts=TextBatch(*pad([[2, 8, 9, 3]])))
    assert system.encode_texts(batch).pooled.isfinite().all()


def test_a_masked_language_model_keeps_its_head_and_its_pooling_through_an_export(sources, tmp_path):
    import_model(str(sources["distilbert"][0]), tmp_path / "ours")
    export_model(tmp_path / "ours", tmp_path / "out")
    assert not (tmp_path / "out" / "modules.json").exists()
    again = import_folder(tmp_path / "out")
    assert isinstance(again, BERT)
    assert again.config.pooling == load_model(tmp_path / "ours").system.config.pooling == "mean"


def test_the_pooling_of_a_masked_bert_survives_an_export(tmp_path):
    ours = BERT(BERTConfig(9, 6, 1, 2, 8, 5, pooling="mean", special=(0, 1), mask_id=1))
    export_folder(ours, tmp_path)
    again = import_folder(tmp_path)
    assert isinstance(again, BERT)
    assert again.config.pooling == "mean"
