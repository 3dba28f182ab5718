"""A frozen part is found by the name of its package or by its checkpoint's folder."""

import pytest
import torch

from showtell.checkpoint.save import save_checkpoint
from showtell.errors import MissingError
from showtell.hub.catalogue import find
from showtell.hub.sources import frozen_tensors, load_pretrained
from showtell.systems.resnet import ResNetEncoderConfig


def test_a_package_gives_the_tensors_of_its_system() -> None:
    package = find("all-MiniLM-L6-v2")
    if not package.installed:
        pytest.skip(package.command)
    expected = load_pretrained(package.name).system.state_dict()
    found = frozen_tensors(package.name)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_a_checkpoint_gives_its_tensors(tmp_path) -> None:
    system = ResNetEncoderConfig((1, 1), (8, 12), False, stem_width=8).build()
    save_checkpoint(tmp_path / "net", system, record={}, tokenizer_json="", preprocess={}, card="")
    found = frozen_tensors(str(tmp_path / "net"))
    assert all(torch.equal(found[name], tensor) for name, tensor in system.state_dict().items())


def test_a_source_that_is_not_here_is_named(tmp_path, monkeypatch) -> None:
    with pytest.raises(MissingError, match="moved/elsewhere"):
        frozen_tensors(str(tmp_path / "moved" / "elsewhere"))
    monkeypatch.setattr("showtell.hub.catalogue.find_spec", lambda name: None)
    with pytest.raises(MissingError, match=r"all-MiniLM-L6-v2 are missing: pip install"):
        frozen_tensors("all-MiniLM-L6-v2")
