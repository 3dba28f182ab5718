"""Projectors and predictors: what stands between a backbone and a loss of two views."""

from __future__ import annotations

from itertools import pairwise

from torch import nn


def mlp(*widths: int, bias: bool = False) -> nn.Sequential:
    """Linear layers from `widths[0]` to `widths[-1]`, batch norm and ReLU between them.

    `bias` is that of the last layer; the others have none, since the batch norm after them would take it
    away again.

    >>> [type(layer).__name__ for layer in mlp(8, 16, 4)]
    ['Linear', 'BatchNorm1d', 'ReLU', 'Linear']
    """
    layers: list[nn.Module] = []
    for width_in, width in pairwise(widths[:-1]):
        layers += [nn.Linear(width_in, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1], bias=bias))
