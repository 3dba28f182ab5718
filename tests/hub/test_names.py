"""State dicts that wrappers prefixed, heads that showtell lacks, and messages of bounded length."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from showtell.errors import UserError
from showtell.hub.huggingface.folder import import_folder
from support.pretrained import IMAGE, MODELS, SIZES, bert, roberta, subwords, transformers, write_source


@pytest.fixture(params=MODELS, scope="module")
def source(request, tmp_path_factory):
    return write_source(request.param, tmp_path_factory.mktemp(request.param) / "source")


def saved(tensors, like, folder):
    folder.mkdir(exist_ok=True)
    shutil.copy(like / "config.json", folder)
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, folder / "model.safetensors")
    return folder


def same(ours, expected):
    assert ours.config == expected.config
    for name, tensor in expected.state_dict().items():
        assert torch.equal(ours.state_dict()[name], tensor), name


@pytest.mark.parametrize(
    "wrapped",
    [
        "module.{}",
        "model.{}",
        "_orig_mod.{}",
        "model._orig_mod.module.{}",
        "0.auto_model.{}",
        "student.net.{}",
    ],
)
def test_what_wrappers_put_before_names_is_taken_off(source, wrapped, tmp_path, caplog):
    folder, _ = source
    tensors = load_file(folder / "model.safetensors")
    named = {wrapped.format(name): tensor for name, tensor in tensors.items()}
    with caplog.at_level("INFO", "showtell"):
        same(import_folder(saved(named, folder, tmp_path)), import_folder(folder))
    if wrapped != "_orig_mod.{}":
        assert "took the prefix" in caplog.text


def test_the_encoders_own_prefix_may_be_there_or_not(source, tmp_path):
    folder, reference = source
    tensors, base = load_file(folder / "model.safetensors"), reference.base_model_prefix + "."
    bare = {name.removeprefix(base): tensor for name, tensor in tensors.items()}
    other = bare if bare.keys() != tensors.keys() else {base + name: t for name, t in tensors.items()}
    same(import_folder(saved(other, folder, tmp_path)), import_folder(folder))


HEADS = {
    "bert": "BertForSequenceClassification",
    "bert-tokens": "BertForTokenClassification",
    "bert-next": "BertForNextSentencePrediction",
    "roberta": "RobertaForSequenceClassification",
    "distilbert": "DistilBertForSequenceClassification",
    "gpt2": "GPT2ForSequenceClassification",
    "vit": "ViTForMaskedImageModeling",
}


@pytest.mark.parametrize("name", HEADS)
def test_a_foreign_head_is_named_and_the_encoder_comes_in(name, tmp_path, caplog):
    kind, head = name.split("-")[0], getattr(transformers, HEADS[name])
    match kind:
        case "bert":
            config = bert(subwords("wordpiece", "bert"))
        case "roberta":
            config = roberta(subwords("bpe", "roberta"))
        case "distilbert":
            config = transformers.DistilBertConfig(
                vocab_size=30, n_layers=2, n_heads=3, dim=12, hidden_dim=21
            )
        case "gpt2":
            config = transformers.GPT2Config(vocab_size=30, n_embd=12, n_layer=2, n_head=3)
        case _:
            config = transformers.ViTConfig(**SIZES, **IMAGE, encoder_stride=4)
    reference = head(config).eval()
    reference.save_pretrained(tmp_path / "headed")
    reference.base_model.save_pretrained(tmp_path / "alone")
    with caplog.at_level("WARNING", "showtell"):
        ours = import_folder(tmp_path / "headed")
    named = {n for n, _ in reference.named_parameters() if not n.startswith(reference.base_model_prefix)}
    assert "not imported, since showtell has no such head: " in caplog.text
    for tensor in named:
        assert tensor in caplog.text
    same(ours, import_folder(tmp_path / "alone"))


def test_a_vit_without_its_classifier_is_an_encoder(tmp_path):
    folder, _ = write_source("vit", tmp_path / "source")
    tensors = load_file(folder / "model.safetensors")
    headless = {name: tensor for name, tensor in tensors.items() if not name.startswith("classifier.")}
    ours = import_folder(saved(headless, folder, tmp_path / "headless"))
    assert type(ours).__name__ == "ViTEncoder"


def test_a_mismatch_names_ten_tensors_and_how_many_more(source, tmp_path):
    folder, _ = source
    few = dict(sorted(load_file(folder / "model.safetensors").items())[:2])
    with pytest.raises(UserError, match=r"does not fit its config\.json: .* and \d+ more\. ") as error:
        import_folder(saved(few, folder, tmp_path))
    assert str(error.value).count(" is missing") == 10


def test_several_models_in_one_file_are_refused(source, tmp_path):
    folder, _ = source
    tensors = load_file(folder / "model.safetensors")
    both = {f"{one}.{name}": tensor for name, tensor in tensors.items() for one in ("student", "teacher")}
    with pytest.raises(UserError, match=r"several models, under student\..*, teacher\."):
        import_folder(saved(both, folder, tmp_path))


@pytest.mark.parametrize(
    ("name", "copy", "original"),
    [
        ("gpt2", "lm_head.weight", "transformer.wte.weight"),
        ("bert", "cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"),
        ("roberta", "lm_head.decoder.weight", "roberta.embeddings.word_embeddings.weight"),
        ("distilbert", "vocab_projector.weight", "distilbert.embeddings.word_embeddings.weight"),
    ],
)
def test_of_tied_tensors_one_is_enough_and_two_that_differ_are_refused(name, copy, original, tmp_path):
    folder, _ = write_source(name, tmp_path / "source")
    tensors = load_file(folder / "model.safetensors")
    moved = {copy if n == original else n: tensor for n, tensor in tensors.items()}
    same(import_folder(saved(moved, folder, tmp_path / "moved")), import_folder(folder))
    with pytest.raises(UserError, match=f"{copy} differs from {original}"):
        import_folder(saved(tensors | {copy: tensors[original] + 1}, folder, tmp_path / "untied"))
