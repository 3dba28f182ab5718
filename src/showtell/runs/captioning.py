"""The complete run of a captioner: images with captions in, a checkpoint that can be asked out."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import torch

from showtell.checkpoint.card import captioner_card
from showtell.data.batch import Batch, ImageBatch
from showtell.data.captions.entry import Entry
from showtell.data.captions.read import read_captions
from showtell.data.sampler import Sampler
from showtell.datasets.cache import feature_cache
from showtell.datasets.captions import Split, WordVocabulary, divide, load_splits, split_hash
from showtell.datasets.problems import tell_problems
from showtell.hub.backbones import load_backbone
from showtell.runs.execute import fit
from showtell.systems.show_and_tell import ShowAndTell, ShowAndTellConfig
from showtell.systems.show_attend_and_tell import ShowAttendAndTell, ShowAttendAndTellConfig
from showtell.tasks.likelihood import negative_log_likelihood
from showtell.train.config import TrainConfig
from showtell.wording import counted

Captioner = ShowAndTell | ShowAttendAndTell
CHUNK = 50


@dataclass(frozen=True)
class CaptioningRun:
    """Everything that decides the result, but the data and the seed's machine."""

    system: ShowAndTellConfig | ShowAttendAndTellConfig
    train: TrainConfig
    vocabulary: WordVocabulary = field(default_factory=WordVocabulary)
    backbone: str = "efficientnet_lite0"
    weights: Literal["float32", "float16"] = "float32"
    """How the checkpoint stores them."""

    def read(self, data: Path, format: str | None = None) -> CaptionData:
        """The images and captions of a folder or file, with what is wrong said on standard error."""
        return read_captioned(data, format)

    def run(
        self, name: str, data: CaptionData, output: Path, *, resume: bool = False, device: str = "cpu"
    ) -> dict[str, Any]:
        """Train, keep the best on `val`, write `output/model`; return what was reached."""
        backbone = load_backbone(self.backbone, device)
        tokenizer, splits = load_splits(data.entries, self.vocabulary, feature_cache(backbone))
        recipe = replace(self, system=replace(self.system, vocab_size=len(tokenizer)))
        torch.manual_seed(recipe.train.seed)
        system = build(recipe.system)
        training, validation = splits["train"], splits["val"]
        sampler = Sampler(len(training.rows), recipe.train.batch_size, recipe.train.seed)
        return fit(
            system,
            recipe,
            output,
            name=name,
            data={"hash": split_hash(splits), **{s: len(split.rows) for s, split in splits.items()}},
            about=f"{len(training.rows)} images to learn from, {len(validation.rows)} to choose by, "
            f"{len(tokenizer)} words",
            load_batch=lambda index: training.batch(sampler(index)),
            validate=lambda module: validate(cast(Captioner, module), validation),
            describe=lambda index: ", ".join(training.paths[i].name for i in sampler(index)),
            tokenizer_json=tokenizer.to_json(),
            preprocess={"backbone": self.backbone, "version": backbone.preprocessing},
            card=captioner_card,
            dtype=getattr(torch, recipe.weights),
            resume=resume,
            device=device,
        )


def build(config: ShowAndTellConfig | ShowAttendAndTellConfig) -> Captioner:
    """The captioner that a configuration describes, untrained."""
    return ShowAndTell(config) if isinstance(config, ShowAndTellConfig) else ShowAttendAndTell(config)


def validate(system: Captioner, split: Split) -> dict[str, float]:
    """Teacher-forced nats a word over a split, and e to that power."""
    total, words = 0.0, 0
    with torch.inference_mode():
        for first in range(0, len(split.rows), CHUNK):
            items = range(first, min(first + CHUNK, len(split.rows)))
            images = Batch(ImageBatch(features=split.grid(items).to(next(system.parameters()).device)))
            surprise, count = negative_log_likelihood(
                system, system.encode_images(images), [split.captions[i] for i in items]
            )
            total, words = total + surprise, words + count
    return {"loss": total / words, "perplexity": math.exp(total / words)}


@dataclass(frozen=True)
class CaptionData:
    """Images with captions, as they were read."""

    entries: list[Entry]

    @property
    def num_training(self) -> int:
        """Images to learn from."""
        return len(divide(self.entries).get("train", []))


def read_captioned(data: Path, format: str | None = None) -> CaptionData:
    """The images and captions of a folder or file, with what is wrong said on standard error."""
    source = read_captions(data, format)
    print(f"{data}: {source.format}, {counted(len(source.entries), 'image')}", file=sys.stderr)
    tell_problems(data, source)
    return CaptionData(source.entries)
