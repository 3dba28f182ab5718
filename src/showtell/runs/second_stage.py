"""A captioning run that begins with the Q-Former of a first stage, and prompts a language model with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from showtell.checkpoint.frozen import Frozen
from showtell.checkpoint.load import Checkpoint
from showtell.datasets.captions import CaptionData
from showtell.datasets.vocabulary import CaptionTokenizer
from showtell.errors import MissingError, UsageError
from showtell.hub.checkpoints import open_checkpoint
from showtell.runs.captioning import CaptioningRun
from showtell.runs.job import Job


@dataclass(frozen=True)
class SecondStageRun(CaptioningRun):
    """Trains the Q-Former and the layer after it; the images' encoder is that of the first stage."""

    model: str = ""
    """The checkpoint or the run of the first stage; empty: the Q-Former begins at random."""

    def read(self, data: Path, format: str | None = None) -> CaptionData:
        """As of every captioning run. A first stage that is not here is refused before."""
        return super(SecondStageRun, self._begun(self._first())).read(data, format)

    def prepare(self, dataset: CaptionData, device: str) -> Job:
        """As of every captioning run.

        Raises `MissingError` for a backbone that is another than in the first stage.
        """
        first = self._first()
        job = super(SecondStageRun, self._begun(first)).prepare(dataset, device)
        if first is not None and job.preprocess.get("hash") != first.preprocess.get("hash"):
            backbone = first.preprocess["backbone"]
            raise MissingError(f"{self.model} was trained over another {backbone}; put that one back")
        return job

    def _first(self) -> Checkpoint | None:
        """The first stage. Raises `UsageError` for a model without a Q-Former."""
        if not self.model:
            return None
        first = open_checkpoint(self.model)
        if not hasattr(first.system, "former"):
            raise UsageError(
                f"{self.model} is a {type(first.system).__name__}, which has no Q-Former; train one with "
                "showtell train blip2_mini"
            )
        return first

    def _begun(self, first: Checkpoint | None) -> SecondStageRun:
        """The run with the sizes and the backbone of the first stage."""
        if first is None:
            return self
        system: Any = self.system
        backbone = first.preprocess.get("backbone", self.backbone)
        config: Any = first.system.config
        return replace(self, system=system.with_first_stage(config), backbone=backbone)

    def _build(self, config: Any, tokenizer: CaptionTokenizer) -> tuple[nn.Module, tuple[Frozen, ...]]:
        system, frozen = super()._build(config, tokenizer)
        if (first := self._first()) is not None:
            begun: Any = system
            begun.begin_queries(first.system)
        return system, frozen
