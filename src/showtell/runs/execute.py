"""The execution of a job: train, keep the best parameters as a checkpoint, return the figures reached."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from showtell.checkpoint.adapters import save_adapter
from showtell.checkpoint.card import model_card
from showtell.checkpoint.load import load_checkpoint
from showtell.checkpoint.save import save_checkpoint
from showtell.hub.sources import frozen_tensors
from showtell.runs.collapse_alarm import Alarm
from showtell.runs.job import Figures, Job
from showtell.runs.settings import record
from showtell.runtime import give_back_freed_memory
from showtell.train.loop import train
from showtell.train.same_run import ASKED, GIVEN

logger = logging.getLogger(__name__)


def execute(
    job: Job,
    name: str,
    output: Path,
    *,
    asked: Mapping[str, Any],
    given: Sequence[str] = (),
    resume: bool = False,
    device: str = "cpu",
) -> dict[str, Any]:
    """Train by `train.loop.train`; write `output/model`; return its path, the steps and the figures reached.

    The checkpoint records the recipe's `name`, its settings and the facts of the data; a resumed run must
    share them. `asked` is what `require_same_request` compares then, `given` the settings that hold then too.

    Raises `UserError` when the run collapses.
    """
    settings = record(job.run)
    facts = {"recipe": name, "settings": settings, "data": job.data}
    figures: dict[str, float] = {}

    def measure(system: nn.Module) -> Figures:
        assert job.validate is not None
        figures.clear()
        figures.update(job.validate(system))
        give_back_freed_memory()  # batches of many lengths leave a heap in pieces, which grows by the hour
        return figures

    def finish(folder: Path) -> None:
        recorded = {**facts, "validation": dict(figures)}
        card = model_card(
            job.system,
            f"trained with the recipe `{name}`",
            job.card,
            figures=figures if job.validate else None,
            data_hash=job.data["hash"],
            settings=settings,
        )
        if job.base is not None:
            save_adapter(folder, job.system, job.base, recorded, card=card, frozen=job.frozen)
            return
        save_checkpoint(
            folder,
            job.system,
            record=recorded,
            tokenizer_json=job.tokenizer_json,
            preprocess=job.preprocess,
            card=card,
            frozen=job.frozen,
            dtype=job.dtype,
            familiarity=job.familiarity,
        )

    millions = sum(p.numel() for p in job.system.parameters()) / 1e6
    logger.info("%s: %s, %.1f M parameters", name, job.about, millions)
    if "recall" in job.run.train.metric and job.data.get("val") == 1:
        logger.warning(
            "one validation image, which any model finds: %s says nothing of the "
            "parameters that are kept; add images to the split val",
            job.run.train.metric,
        )
    alarm = None if job.watched is None else Alarm(job.watched, output, resume)
    trained = train(
        job.system,
        job.load_batch,
        job.run.train,
        output,
        finish=finish,
        validate=measure if job.validate else None,
        monitor=alarm,
        describe=job.describe,
        # The loop knows its own settings: a resumption that differs in one names it once.
        record={
            **facts,
            "settings": {k: v for k, v in settings.items() if k != "train"},
            ASKED: asked,
            GIVEN: [*given],
        },
        frozen=job.frozen,
        resume=resume,
        device=device,
    )
    if alarm:
        alarm.draw()
    reached: dict[str, Any] = {"model": str(output / "model"), "steps": trained.step}
    if job.cuts:
        reached["left_out" if job.cuts[0].whole else "cut"] = sum(cuts.count for cuts in job.cuts)
    if trained.best is not None:
        reached[job.run.train.metric] = trained.best
    if job.test:
        kept = load_checkpoint(output / "model", device, frozen_tensors).system
        reached |= {f"test_{figure}": value for figure, value in job.test(kept).items()}
    return reached
