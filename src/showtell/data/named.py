"""Tensors that may be there or not, read by their names."""

from __future__ import annotations

from torch import Tensor


class Tensors:
    """Tensors by name: reading one that is not there raises `ValueError` with the names of those that are."""

    def __init__(self, **tensors: Tensor | None) -> None:
        self.tensors = {name: tensor for name, tensor in tensors.items() if tensor is not None}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.tensors:
            there = " and ".join(self.tensors) or "nothing of the kind"
            raise ValueError(f"the batch has no {name}, only {there}")
        return self.tensors[name]
