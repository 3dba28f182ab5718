"""`showtell import`: where models are found, and clear errors for folders that are incomplete or damaged."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from showtell.cli.main import run
from showtell.data.tokenizers.load import fits, load_tokenizer
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.errors import MissingError, UsageError
from showtell.pipelines.export_model import export_model
from showtell.pipelines.fill_mask import fill_mask
from showtell.pipelines.generate import generate
from showtell.pipelines.import_model import import_model
from showtell.pipelines.model import load_model
from showtell.protocols import CausalLanguageModel, MaskedLanguageModel
from support.pretrained import MODELS, write_source

ONE = pytest.mark.parametrize("source", ["clip"], indirect=True)


@pytest.fixture(params=MODELS, scope="module")
def source(request, tmp_path_factory):
    return write_source(request.param, tmp_path_factory.mktemp(request.param) / "source")


@ONE
def test_a_model_of_another_source_is_not_replaced(source, tmp_path):
    folder, _ = source
    for _ in range(2):
        import_model(str(folder), tmp_path / "ours")
    shutil.copytree(folder, tmp_path / "theirs")
    with pytest.raises(UsageError, match="holds another model"):
        import_model(str(tmp_path / "theirs"), tmp_path / "ours")


def test_special_tokens_are_the_tokenizers(source, tmp_path):
    """So a run that goes on from it masks with the mask token, and never masks a special one."""
    folder, _ = source
    import_model(str(folder), tmp_path / "ours")
    model = load_model(tmp_path / "ours")
    if hasattr(model.system.config, "mask_id"):
        assert model.system.config.mask_id == model.tokenizer.mask
        assert model.system.config.special == model.tokenizer.special


@pytest.mark.parametrize(
    ("requested", "status", "said"),
    [
        (
            ["openai/clip-vit-base-patch32"],
            4,
            "the model openai/clip-vit-base-patch32 is not on this machine",
        ),
        (["openai/clip-vit-base-patch32", "--download"], 4, "openai/clip-vit-base-patch32 cannot be fetched"),
        (["clip"], 2, "no model of a package: all-MiniLM-L6-v2, efficientnet_lite0"),
        (["gpt2"], 2, "where it is an old id on the hub, --download fetches it"),
        (["gpt2", "--download"], 4, "gpt2 cannot be fetched"),
        (["../../no/such"], 2, "is no folder, no id"),
        ([__file__], 2, "is a file; give the folder that holds it"),
    ],
)
def test_what_is_not_here_is_named_and_nothing_is_downloaded_unless_told(
    requested, status, said, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("reached for the network"))
    assert run(["import", *requested, "--output", str(tmp_path / "out")]) == status
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@ONE
def test_a_model_downloaded_before_is_found_in_the_hubs_cache(source, tmp_path, monkeypatch):
    folder, _ = source
    requested = []

    def snapshot_download(name, *, allow_patterns, local_files_only):
        requested.append((name, local_files_only))
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    done = import_model("someone/something", tmp_path / "ours")
    import_model("someone/something", tmp_path / "ours", download=True)
    import_model("gpt2", tmp_path / "old")
    assert requested == [("someone/something", True), ("someone/something", False), ("gpt2", True)]
    assert load_model(done["model"]).name.startswith("something@")
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "config.json").write_text("{}")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(tmp_path / "part"))
    with pytest.raises(MissingError, match=r"not on this machine, but for config\.json; --download"):
        import_model("someone/something", tmp_path / "ours")


@ONE
def test_pickled_weights_of_the_hub_are_fetched_where_there_are_no_others(source, tmp_path, monkeypatch):
    folder = copied(source, tmp_path)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    requested = []

    def snapshot_download(name, *, allow_patterns, local_files_only):
        requested.append("pytorch_model*.bin" in allow_patterns)
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    import_model("someone/something", tmp_path / "ours", download=True)
    import_model(str(source[0]), tmp_path / "whole")
    assert requested == [False, True]
    assert load_model(tmp_path / "ours").hash == load_model(tmp_path / "whole").hash


def copied(source, tmp_path):
    folder, _ = source
    target = tmp_path / "broken"
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def refused(folder, tmp_path, capsys, status=1):
    assert run(["import", str(folder), "--output", str(tmp_path / "out")]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert not (tmp_path / "out").exists()
    assert captured.err.startswith("showtell: ")
    assert captured.err.count("\n") == 1
    return captured.err


def test_a_missing_tokenizer_or_preprocessing_is_named(source, tmp_path, capsys):
    folder = copied(source, tmp_path)
    for name in ("tokenizer.json", "preprocessor_config.json"):
        if (folder / name).exists():
            (folder / name).rename(folder / "elsewhere")
            assert name in refused(folder, tmp_path, capsys)
            (folder / "elsewhere").rename(folder / name)


def test_the_tokenizer_of_another_model_is_refused(source, tmp_path, capsys):
    folder = copied(source, tmp_path)
    if (folder / "tokenizer.json").exists():
        other = SubwordTokenizer.train(["a b"], "wordpiece", 9, "bert")
        (folder / "tokenizer.json").write_text(other.to_json())
        message = refused(folder, tmp_path, capsys)
        assert f"has {len(other)} tokens, the embedding has" in message


@ONE
def test_sharded_weights(source, tmp_path, capsys):
    folder = copied(source, tmp_path)
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    (folder / "model.safetensors").unlink()
    shards = {f"model-0000{i + 1}-of-00002.safetensors": names[i::2] for i in range(2)}
    for shard, inside in shards.items():
        save_file({name: tensors[name] for name in inside}, folder / shard)
    index = folder / "model.safetensors.index.json"
    places = {name: shard for shard, inside in shards.items() for name in inside}
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    import_model(str(folder), tmp_path / "sharded")
    import_model(str(source[0]), tmp_path / "whole")
    assert load_model(tmp_path / "sharded").hash == load_model(tmp_path / "whole").hash

    index.write_text(json.dumps({"weight_map": places | {"foreign": "../model.safetensors"}}))
    assert "no weight_map of .safetensors files beside it" in refused(folder, tmp_path, capsys)
    index.write_text(json.dumps({"weight_map": places | {"foreign": next(iter(shards))}}))
    assert "names tensors that no file holds: foreign" in refused(folder, tmp_path, capsys)
    index.write_text(json.dumps({"weight_map": places}))
    lost = next(iter(shards))
    (folder / lost).unlink()
    assert f"lacks {lost}" in refused(folder, tmp_path, capsys)


@ONE
def test_without_weights_that_can_be_read_the_others_are_named(source, tmp_path, capsys):
    folder = copied(source, tmp_path)
    (folder / "model.safetensors").rename(folder / "tf_model.h5")
    message = refused(folder, tmp_path, capsys)
    assert "lacks model.safetensors and pytorch_model.bin; tf_model.h5 cannot be read" in message


@pytest.mark.parametrize("source", ["bert", "distilbert", "roberta", "gpt2"], indirect=True)
def test_rows_without_a_token_are_kept_and_never_predicted(source, tmp_path, capsys):
    folder, reference = source
    tokenizer = load_tokenizer((folder / "tokenizer.json").read_text(), "tokenizer.json")
    rows = -(-(len(tokenizer) + 1) // 64) * 64
    padded = type(reference)(reference.config).eval()
    padded.load_state_dict(reference.state_dict())
    torch.manual_seed(0)
    padded.resize_token_embeddings(rows)
    ids = torch.tensor([tokenizer.encode("a dog")])
    head = padded.get_output_embeddings()
    with torch.no_grad():  # rows without a token win by far
        if head.bias is not None:
            head.bias[len(tokenizer) :] = 1e4
        else:
            head.weight[len(tokenizer) :] = padded.base_model(ids).last_hidden_state[0, -1] * 1e3
    (tmp_path / "padded").mkdir()
    padded.save_pretrained(tmp_path / "padded")
    for name in ("tokenizer.json", "preprocessor_config.json"):
        if (folder / name).exists():
            shutil.copy(folder / name, tmp_path / "padded")
    import_model(str(tmp_path / "padded"), tmp_path / "ours")
    model = load_model(tmp_path / "ours")
    assert model.system.token_embeddings().shape[0] == rows
    if model.can(MaskedLanguageModel):
        found = fill_mask("a [MASK] dog", model, top=rows)
        assert len(found.predictions) == len(tokenizer) - len(tokenizer.special)
        assert sum(one.probability for one in found.predictions) == pytest.approx(1)
        assert model.system.config.mask_id == tokenizer.mask
    if model.can(CausalLanguageModel):
        assert padded(ids).logits[0, -1].argmax() >= len(tokenizer)
        assert generate("a dog", model, 4).tokens <= 4
    export_model(tmp_path / "ours", tmp_path / "out")
    before = load_file(tmp_path / "padded" / "model.safetensors")
    after = load_file(tmp_path / "out" / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("tokens", "rows", "expected"),
    [
        (12, 12, True),
        (12, 64, True),
        (50257, 50304, True),
        (50254, 50432, True),
        (30522, 30600, True),
        (28996, 30522, False),  # cased for uncased
        (9, 540, False),
        (13, 12, False),
    ],
)
def test_a_padded_vocabulary_and_a_foreign_one(tokens, rows, expected):
    assert fits(tokens, rows) is expected
