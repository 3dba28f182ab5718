"""The complete run of a captioner: pictures with captions in, a checkpoint that can be asked out."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import torch

from showtell.data.batch import Batch
from showtell.data.features import FeatureCache
from showtell.data.sampler import Sampler
from showtell.data.sources.detect import read
from showtell.data.sources.entry import Entry
from showtell.hub.backbones import load_backbone
from showtell.recipes.card import captioner_card
from showtell.recipes.settings import record
from showtell.recipes.sources import tell_problems
from showtell.recipes.splits import Split, VocabularyConfig, load_splits, split_hash
from showtell.systems.show_and_tell import ShowAndTell, ShowAndTellConfig
from showtell.systems.show_attend_and_tell import ShowAttendAndTell, ShowAttendAndTellConfig
from showtell.tasks.perplexity import nats
from showtell.train.checkpoint import save_checkpoint
from showtell.train.config import TrainConfig
from showtell.train.loop import train

Captioner = ShowAndTell | ShowAttendAndTell


@dataclass(frozen=True)
class CaptionRecipe:
    """Everything that decides the result, but the data and the seed's machine."""

    system: ShowAndTellConfig | ShowAttendAndTellConfig
    train: TrainConfig
    vocabulary: VocabularyConfig = field(default_factory=VocabularyConfig)
    backbone: str = "efficientnet_lite0"
    weights: Literal["float32", "float16"] = "float32"
    """How the checkpoint stores them."""


def epochs(count: float, num_pictures: int, batch_size: int, at_least: int = 600) -> int:
    """Steps that read every picture `count` times; few pictures are read more often.

    >>> epochs(10, 6000, 16), epochs(10, 100, 16)
    (3750, 600)
    """
    return max(math.ceil(count * num_pictures / batch_size), at_least)


def build(config: ShowAndTellConfig | ShowAttendAndTellConfig) -> Captioner:
    """The captioner that a configuration describes, untrained."""
    return ShowAndTell(config) if isinstance(config, ShowAndTellConfig) else ShowAttendAndTell(config)


def validate(system: Captioner, split: Split, batch_size: int = 50) -> dict[str, float]:
    """Teacher-forced nats a word over a split, and e to that power."""
    total, words = 0.0, 0
    with torch.inference_mode():
        for first in range(0, len(split.rows), batch_size):
            items = range(first, min(first + batch_size, len(split.rows)))
            pictures = Batch(grid=split.grid(items).to(next(system.parameters()).device))
            surprise, count = nats(system, system.embed_image(pictures), [split.captions[i] for i in items])
            total, words = total + surprise, words + count
    return {"loss": total / words, "perplexity": math.exp(total / words)}


def run(
    recipe: CaptionRecipe,
    name: str,
    entries: Sequence[Entry],
    output: Path,
    *,
    resume: bool = False,
    device: str = "cpu",
) -> dict[str, Any]:
    """Train, keep the best on `val`, write `output/model`; return what was reached."""
    backbone = load_backbone(recipe.backbone, device)
    cache = FeatureCache(
        cache_folder(),
        backbone.hash,
        backbone.preprocessing,
        backbone,
        (backbone.num_tokens, backbone.width),
        backbone.size,
    )
    tokenizer, splits = load_splits(entries, recipe.vocabulary, cache)
    recipe = replace(recipe, system=replace(recipe.system, vocab_size=len(tokenizer)))
    torch.manual_seed(recipe.train.seed)
    system = build(recipe.system)
    training, validation = splits["train"], splits["val"]
    sampler = Sampler(len(training.rows), recipe.train.batch_size, recipe.train.seed)
    data_hash = split_hash(splits)
    facts = {
        "recipe": name,
        "settings": record(recipe),
        "data": {"hash": data_hash, **{s: len(split.rows) for s, split in splits.items()}},
    }

    def finish(folder: Path) -> None:
        figures = validate(system.eval(), validation)
        save_checkpoint(
            folder,
            system,
            record={**facts, "validation": figures},
            tokenizer_json=tokenizer.to_json(),
            preprocess={"backbone": recipe.backbone, "version": backbone.preprocessing},
            card=captioner_card(name, system, facts, figures),
            dtype=getattr(torch, recipe.weights),
        )

    print(
        f"{name}: {len(training.rows)} pictures to learn from, {len(validation.rows)} to choose by, "
        f"{len(tokenizer)} words, {sum(p.numel() for p in system.parameters()) / 1e6:.1f} M weights",
        file=sys.stderr,
    )
    trained = train(
        system,
        lambda index: training.batch(sampler(index)),
        recipe.train,
        output,
        finish=finish,
        validate=lambda module: validate(cast(Captioner, module), validation),
        describe=lambda index: ", ".join(training.paths[i].name for i in sampler(index)),
        record=facts,
        resume=resume,
        device=device,
    )
    return {"model": str(output / "model"), "steps": trained.step, "loss": trained.best}


def cache_folder() -> Path:
    """Where features are kept between runs: `$XDG_CACHE_HOME/showtell/features`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "showtell" / "features"


def read_entries(data: Path, format: str | None = None) -> list[Entry]:
    """The pictures and captions of a folder or file, with what is wrong said on standard error."""
    source = read(data, format)
    print(f"{data}: {source.format}, {len(source.entries)} pictures", file=sys.stderr)
    tell_problems(data, source)
    return source.entries
