"""`showtell export`: parameters survive bit for bit, and the reference library computes the same vectors."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from showtell.checkpoint.save import save_checkpoint
from showtell.cli.main import run
from showtell.data.batch import Batch, TextBatch
from showtell.pipelines.export_model import export_model
from showtell.pipelines.import_model import import_model
from showtell.pipelines.model import load_model
from showtell.systems.bert import BERT, BERTConfig
from showtell.systems.gpt import GPT, GPTConfig
from showtell.systems.roberta import RoBERTa, RoBERTaConfig
from support.pretrained import MODELS, TEXTS, same_vectors, subwords, transformers, write_source

ONE = pytest.mark.parametrize("source", ["clip"], indirect=True)


@pytest.fixture(params=MODELS, scope="module")
def source(request, tmp_path_factory):
    return write_source(request.param, tmp_path_factory.mktemp(request.param) / "source")


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "image.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)).save(path)
    return path


def test_import_export_and_import_again_keep_every_bit(source, image, tmp_path, capsys):
    folder, reference = source
    assert run(["import", str(folder), "--output", str(tmp_path / "ours"), "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    model = load_model(tmp_path / "ours")
    assert done["parameters"] == sum(p.numel() for p in model.system.parameters())
    same_vectors(model, reference, folder, image)

    assert run(["export", str(tmp_path / "ours"), "--output", str(tmp_path / "theirs")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'theirs'}\n"
    before, after = load_file(folder / "model.safetensors"), load_file(tmp_path / "theirs/model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    theirs, report = type(reference).from_pretrained(tmp_path / "theirs", output_loading_info=True)
    assert not report["unexpected_keys"]
    tokenizer = None
    if model.vocabulary is not None:
        tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "theirs")
        for text in TEXTS:
            assert tokenizer(text).input_ids == model.tokenizer.encode(text)
    if getattr(reference, "pooler", theirs) is None:
        theirs.pooler = None  # which `from_pretrained` makes up
    for name, weight in theirs.state_dict().items():
        assert torch.equal(weight, reference.state_dict()[name]), name
    same_vectors(model, theirs, tmp_path / "theirs", image, tokenizer)
    assert type(transformers.AutoModel.from_pretrained(tmp_path / "theirs")).__name__.endswith("Model")

    assert run(["import", str(tmp_path / "theirs"), "--output", str(tmp_path / "again")]) == 0
    assert load_model(tmp_path / "again").hash == model.hash


OURS = {
    "bert": (BERT, BERTConfig, "wordpiece", "bert"),
    "roberta": (RoBERTa, RoBERTaConfig, "bpe", "roberta"),
    "gpt": (GPT, GPTConfig, "bpe", "gpt2"),
}


@pytest.mark.parametrize("name", OURS)
@torch.no_grad()
def test_an_own_model_is_exported_with_its_own_tokenizer(name, tmp_path):
    cls, config, kind, family = OURS[name]
    tokenizer = subwords(kind, family)
    torch.manual_seed(0)
    system = cls(
        config(width=12, depth=2, num_heads=3, mlp_dim=20, max_length=32).with_tokenizer(tokenizer)
    ).eval()
    text = tokenizer.to_json()
    save_checkpoint(tmp_path / "ours", system, record={}, tokenizer_json=text, preprocess={}, card="")
    export_model(tmp_path / "ours", tmp_path / "theirs")
    reference = transformers.AutoModel.from_pretrained(tmp_path / "theirs").eval()
    read = transformers.AutoTokenizer.from_pretrained(tmp_path / "theirs")
    inputs = read([t for t in TEXTS if t], padding=True, return_tensors="pt")
    keep = inputs["attention_mask"].bool()
    expected = reference(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
    found = system.encode_texts(Batch(texts=TextBatch(inputs["input_ids"], keep))).tokens
    torch.testing.assert_close(found[keep], expected.last_hidden_state[keep], atol=1e-5, rtol=1e-5)
    import_model(str(tmp_path / "theirs"), tmp_path / "again")
    again = load_model(tmp_path / "again")
    assert again.system.config == system.config
    assert all(torch.equal(a, b) for a, b in zip(again.system.parameters(), system.parameters(), strict=True))


@ONE
def test_an_export_replaces_nothing_but_an_earlier_export(source, tmp_path, capsys):
    import_model(str(source[0]), tmp_path / "ours")
    holds = {path.name: path.read_bytes() for path in (tmp_path / "ours").iterdir()}
    assert run(["export", str(tmp_path / "ours"), "--output", str(tmp_path / "ours")]) == 2
    assert "holds a checkpoint of showtell" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in (tmp_path / "ours").iterdir()} == holds
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "diary.txt").write_text("mine")
    assert run(["export", str(tmp_path / "ours"), "--output", str(tmp_path / "other")]) == 2
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["diary.txt"]
    theirs = tmp_path / "theirs"
    shutil.copytree(source[0], theirs)
    (theirs / "diary.txt").write_text("mine")
    found = sorted(path.name for path in theirs.iterdir())
    assert run(["export", str(tmp_path / "ours"), "--output", str(theirs)]) == 2
    assert f"{theirs} holds diary.txt" in capsys.readouterr().err
    assert run(["import", str(theirs), "--output", str(theirs)]) == 2
    assert "holds another model" in capsys.readouterr().err
    assert sorted(path.name for path in theirs.iterdir()) == found
    assert run(["export", str(tmp_path / "ours"), "--output", str(tmp_path / "x"), "--format", "onnx"]) == 2
    assert "no format is called 'onnx'; there are albef, huggingface" in capsys.readouterr().err


def test_a_system_without_counterpart_is_not_exported(checkpoint, tmp_path, capsys):
    assert run(["export", str(checkpoint), "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "ShowAndTell has no counterpart in the Hugging Face layout; what is written there: " in said
    assert "CLIP, " in said
    assert not (tmp_path / "out").exists()
    assert run(["export", str(tmp_path), "--output", str(tmp_path / "out")]) == 1


@ONE
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened_exactly(source, dtype, tmp_path):
    folder = shutil.copytree(source[0], tmp_path / "halves")
    halves = {n: t.to(dtype) for n, t in load_file(folder / "model.safetensors").items()}
    save_file(halves, folder / "model.safetensors")
    import_model(str(folder), tmp_path / "ours")
    export_model(tmp_path / "ours", tmp_path / "theirs")
    after = load_file(tmp_path / "theirs" / "model.safetensors")
    assert after.keys() == halves.keys()
    assert all(torch.equal(after[name], half.float()) for name, half in halves.items())


def test_a_checkpoint_that_is_not_there_is_named(tmp_path, capsys) -> None:
    assert run(["export", "defualt", "--output", str(tmp_path / "out")]) == 1
    assert (
        "there is no checkpoint at defualt; did you mean the shipped model default" in capsys.readouterr().err
    )
    assert run(["export", "default", "--output", str(tmp_path / "out")]) == 2
    assert "ShowAttendAndTell has no counterpart" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
