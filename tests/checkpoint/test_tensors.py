"""Tensors in a safetensors file."""

from pathlib import Path

import torch
from torch import nn

from showtell.checkpoint.tensors import named_tensors, read_tensors, refuse_nonfinite, write_tensors
from support.checkpoints import refused


def test_every_fault_is_named_and_nothing_is_copied(tmp_path: Path) -> None:
    write_tensors(tmp_path / "t.safetensors", {"a": torch.ones(2), "b": torch.ones(2), "d": torch.ones(2)})
    into = {"a": torch.zeros(2), "b": torch.zeros(3), "c": torch.zeros(1)}
    refused(
        lambda: read_tensors(tmp_path / "t.safetensors", into),
        "b is [2] instead of [3], c is missing, d is unknown",
    )
    assert not into["a"].any()


def test_tied_parameters_are_stored_once(tmp_path: Path) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(5, 4)
            self.output = nn.Linear(4, 5)
            self.output.weight = self.words.weight

    first, second = Tied(), Tied()
    write_tensors(tmp_path / "t.safetensors", named_tensors(first))
    assert list(named_tensors(first)) == ["words.weight", "output.bias"]
    read_tensors(tmp_path / "t.safetensors", named_tensors(second))
    assert torch.equal(second.output.weight, first.output.weight)


def test_ten_faults_are_named_and_how_many_more(tmp_path: Path) -> None:
    write_tensors(tmp_path / "t.safetensors", {"a": torch.ones(2)})
    into = {f"layer{i:02}": torch.zeros(2) for i in range(14)} | {"a": torch.zeros(2)}
    refused(lambda: read_tensors(tmp_path / "t.safetensors", into), "layer09 is missing and 4 more. ")


def test_nonfinite_tensors_are_named() -> None:
    tensors = {"a": torch.tensor([1.0, torch.nan]), "b": torch.tensor(-torch.inf), "c": torch.ones(2)}
    refused(lambda: refuse_nonfinite(tensors, "model.safetensors"), "NaN or infinite values in a, b: ")
    refuse_nonfinite({"c": torch.ones(2), "updates": torch.tensor(3)}, "model.safetensors")
