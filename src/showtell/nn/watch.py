"""Watching a network from outside: attention weights and the tokens between blocks.

A module reports what it computed; nobody listens outside of these context managers, and nothing is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

attention_watcher: ContextVar[list[Tensor] | None] = ContextVar("attention_watcher", default=None)
layer_watcher: ContextVar[list[Tensor] | None] = ContextVar("layer_watcher", default=None)


@contextmanager
def watch_attention() -> Iterator[list[Tensor]]:
    """Collect the weights of every attention that runs inside the `with`, in order, detached.

    >>> import torch
    >>> from showtell.nn.attention import Attention
    >>> with watch_attention() as maps:
    ...     _ = Attention(8, 2)(torch.zeros(1, 3, 8))
    >>> [tuple(weights.shape) for weights in maps]  # B H Q N
    [(1, 2, 3, 3)]
    """
    with _watch(attention_watcher) as maps:
        yield maps


@contextmanager
def watch_layers() -> Iterator[list[Tensor]]:
    """Collect the tokens `[B N D]` that enter every block inside the `with`, in order, detached.

    >>> import torch
    >>> from showtell.nn.transformer import Transformer
    >>> transformer = Transformer(8, 2, 2, 16, norm="pre")
    >>> with watch_layers() as layers:
    ...     _ = transformer(torch.zeros(1, 3, 8))
    >>> [tuple(tokens.shape) for tokens in layers]
    [(1, 3, 8), (1, 3, 8)]
    """
    with _watch(layer_watcher) as layers:
        yield layers


@contextmanager
def _watch(watcher: ContextVar[list[Tensor] | None]) -> Iterator[list[Tensor]]:
    seen: list[Tensor] = []
    token = watcher.set(seen)
    try:
        yield seen
    finally:
        watcher.reset(token)
