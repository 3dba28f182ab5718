"""What follows the pooling of a sentence encoder: dense layers, norms, vectors of length 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from showtell.nn.linear import Linear

HeadActivation = Literal["identity", "tanh", "relu", "gelu", "sigmoid", "silu"]
ACTIVATIONS: dict[HeadActivation, type[nn.Module]] = {
    "identity": nn.Identity,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
}


@dataclass(frozen=True)
class HeadLayer:
    """One layer after the pooling, as `sentence-transformers` has them."""

    kind: Literal["dense", "norm", "dropout", "normalize"]
    width: int = 0
    """What a dense layer projects to."""
    bias: bool = True
    """Whether a dense layer adds a bias."""
    activation: HeadActivation = "tanh"
    """After a dense layer."""
    dropout: float = 0.0


class UnitLength(nn.Module):
    """`v / |v|`."""

    def forward(self, vectors: Tensor) -> Tensor:
        """`[T E]` to `[T E]`."""
        return F.normalize(vectors, dim=-1)


def sentence_head(layers: Sequence[HeadLayer], width: int) -> nn.Sequential:
    """The layers, from vectors of `width`; none of them: the identity."""
    built: list[nn.Module] = []
    for layer in layers:
        match layer.kind:
            case "dense":
                dense = Linear(width, layer.width, layer.bias)
                built.append(nn.Sequential(dense, ACTIVATIONS[layer.activation]()))
                width = layer.width
            case "norm":
                built.append(nn.LayerNorm(width))
            case "dropout":
                built.append(nn.Dropout(layer.dropout))
            case "normalize":
                built.append(UnitLength())
    return nn.Sequential(*built)
