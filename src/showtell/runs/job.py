"""A training run ready to be executed, as one value; and what a run asks of a system."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from showtell.checkpoint.card import CardFacts
from showtell.checkpoint.frozen import Frozen
from showtell.checkpoint.load import Checkpoint
from showtell.data.batch import Batch
from showtell.datasets.cuts import Cuts
from showtell.errors import UsageError
from showtell.nn.unfilled import Unfilled
from showtell.train.config import TrainConfig

Figures = Mapping[str, float]
Validate = Callable[[nn.Module], Figures]


class SystemConfig(Hashable, Protocol):
    """The numbers of a system: a frozen dataclass of `showtell.systems`."""

    def build(self) -> nn.Module:
        """The system with these numbers, untrained."""
        ...


class Dataset(Protocol):
    """What a run trains on, found and counted."""

    @property
    def num_training(self) -> int:
        """Training items."""
        ...


class Run(Protocol):
    """One kind of run with its settings: a frozen dataclass, which a recipe returns."""

    trains_on: ClassVar[str]
    """The kind of data, in a few words."""

    @property
    def train(self) -> TrainConfig:
        """How the loop goes."""
        ...

    def read(self, data: Path, format: str | None = None) -> Any:
        """The `Dataset` of a folder or file. Raises `UserError` when there is none to train on."""
        ...

    def prepare(self, dataset: Any, device: str) -> Job:
        """Everything that training needs, computed."""
        ...


@dataclass(frozen=True)
class Job:
    """A training run ready to be executed."""

    run: Run
    """The settings that made it, settled by the data: the checkpoint records them."""
    system: nn.Module
    """`Trainable`, with its initial parameters."""
    load_batch: Callable[[int], Batch]
    """Batch `i`, which depends on `i` alone."""
    describe: Callable[[int], str]
    """The items of batch `i`, for error messages."""
    data: Mapping[str, Any]
    """What the checkpoint records about the data: `hash` at least."""
    about: str
    """What there is to train on, in a few words."""
    card: CardFacts
    validate: Validate | None = None
    """Figures by name, `train.metric` among them; without it the last parameters are kept."""
    test: Validate | None = None
    """Figures of the parameters that were kept, once, at the end."""
    watched: Tensor | None = None
    """`[2 B 3 S S]`, views of some images that the collapse alarm reads."""
    tokenizer_json: str = ""
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    dtype: torch.dtype = torch.float32
    """How the checkpoint stores the parameters."""
    cuts: Sequence[Cuts] = ()
    """The texts of each split that were longer than the run reads."""
    frozen: Sequence[Frozen] = ()
    """The parts of the system that the checkpoint records by their source instead of copying them."""
    base: Checkpoint | None = None
    """The checkpoint that the run adapts: it leaves an adapter, all else of the system being `frozen`."""
    familiarity: Mapping[str, Tensor] | None = None
    """Statistics of the training images, which the checkpoint keeps."""


@lru_cache(maxsize=16)
def sketch(config: SystemConfig, kind: str, *protocols: type) -> Any:
    """The system of a config without parameters, so that a wrong setting is found before the data is read.

    Sketched once per config: a run may ask for it as often as it likes.

    Raises `UsageError` for settings that the system refuses, and for a system that a run of this `kind`
    cannot train: one that lacks a protocol.
    """
    try:
        with torch.device("meta"), Unfilled():
            system = config.build()
    except ValueError as error:
        raise UsageError(str(error)) from error
    for protocol in protocols:
        if not isinstance(system, protocol):
            raise UsageError(
                f"a {kind} run cannot train {type(system).__name__}, which is not {protocol.__name__}"
            )
    return system


def require(fits: bool, kind: str, system: nn.Module, why: str) -> None:
    """Raises `UsageError` for a system that a run of this `kind` cannot train."""
    if not fits:
        raise UsageError(f"a {kind} run cannot train {type(system).__name__}: {why}")
