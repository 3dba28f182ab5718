"""`pytorch_model.bin` gives the same parameters as `model.safetensors`, and runs no code."""

import argparse
import json
import os
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from showtell.errors import UserError
from showtell.hub.huggingface.folder import import_folder
from showtell.hub.huggingface.pickled import read_pickled
from support.pretrained import MODELS, write_source


@pytest.fixture(params=MODELS, scope="module")
def source(request, tmp_path_factory):
    return write_source(request.param, tmp_path_factory.mktemp(request.param) / "source")


def same(ours, expected):
    assert ours.config == expected.config
    for name, tensor in expected.state_dict().items():
        assert torch.equal(ours.state_dict()[name], tensor), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_every_family_with_its_tied_tensors(source, dtype, tmp_path):
    folder, reference = source
    shutil.copy(folder / "config.json", tmp_path)
    tensors = {  # a tied tensor twice
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in reference.state_dict().items()
    }
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    expected = import_folder(folder)
    for tensor in expected.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(tensor.to(dtype))
    same(import_folder(tmp_path), expected)


def test_shards_with_an_index(source, tmp_path):
    folder, reference = source
    shutil.copy(folder / "config.json", tmp_path)
    tensors = reference.state_dict()
    places = {name: f"pytorch_model-0000{i % 2 + 1}-of-00002.bin" for i, name in enumerate(tensors)}
    for shard in set(places.values()):
        torch.save({name: tensors[name] for name in tensors if places[name] == shard}, tmp_path / shard)
    index = tmp_path / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    same(import_folder(tmp_path), import_folder(folder))
    index.write_text(json.dumps({"weight_map": places | {"foreign": "../pytorch_model.bin"}}))
    with pytest.raises(UserError, match=r"no weight_map of \.bin files beside it"):
        import_folder(tmp_path)


class Runs:
    """An object whose unpickling runs a command."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("value", "named"),
    [
        (argparse.Namespace(x=1), "argparse.Namespace"),
        (torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
        (np.float64(1), r"numpy\._core\.multiarray\.scalar"),
        ("Runs", r"posix\.mkdir"),
    ],
)
def test_a_refused_type_is_named(value, named, zipped, tmp_path):
    ran, file = tmp_path / "ran", tmp_path / "pytorch_model.bin"
    entries = {"weight": torch.ones(2), "extra": Runs(ran) if value == "Runs" else value}
    torch.save(entries, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match=rf"pytorch_model\.bin is refused: it holds a {named}"):
        read_pickled(file)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([torch.ones(1)], "holds a list, not tensors by name"),
        ({"weight": torch.ones(1), "epoch": 3}, "'epoch' is a int"),
    ],
)
def test_entries_that_are_no_tensors_are_named(value, reason, tmp_path):
    torch.save(value, tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match=reason):
        read_pickled(tmp_path / "pytorch_model.bin")


def test_the_tensors_of_a_training_run_are_found(tmp_path, caplog):
    torch.save({"epoch": 3, "state_dict": {"weight": torch.ones(2)}}, tmp_path / "x.bin")
    with caplog.at_level("INFO", "showtell"):
        assert list(read_pickled(tmp_path / "x.bin")) == ["weight"]
    assert "read the tensors under 'state_dict', not epoch" in caplog.text


@pytest.mark.parametrize(
    "content",
    [b"", b"x" * 50, b"version https://git-lfs.github.com/spec/v1\n", b"PK\3\4" + b"1" * 50, b"\x80\5h"],
)
def test_a_damaged_file_is_named(content, tmp_path):
    (tmp_path / "x.bin").write_bytes(content)
    with pytest.raises(UserError, match=r"cannot read .*x\.bin: .*Download it again"):
        read_pickled(tmp_path / "x.bin")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda t: t.index_fill(0, torch.tensor([1]), torch.nan), "holds NaN or infinite values"),
        (lambda t: t.index_fill(0, torch.tensor([1]), torch.inf), "holds NaN or infinite values"),
        (lambda t: (t.double() * 1e300) ** 3, "holds NaN or infinite values"),
        (lambda t: t.to_sparse(), "is quantised, sparse or empty"),
        (lambda t: t.to("meta"), "is quantised, sparse or empty"),
        (lambda t: t.to(torch.int8), r"is quantised, sparse or empty \(torch.int8\)"),
    ],
)
def test_tensors_that_are_no_plain_numbers_are_named(source, make, reason, tmp_path):
    folder, _ = source
    shutil.copy(folder / "config.json", tmp_path)
    tensors = load_file(folder / "model.safetensors")
    name = max(name for name in tensors if tensors[name].dim() == 2 or "convolution.weight" in name)
    torch.save(tensors | {name: make(tensors[name])}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match=f"{name} {reason}"):
        import_folder(tmp_path)
