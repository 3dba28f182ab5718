"""A captioning run: images with captions in, a captioner out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import torch
from torch import nn

from showtell.checkpoint.card import CardFacts
from showtell.checkpoint.frozen import Frozen
from showtell.data.sampler import Sampler
from showtell.datasets.captions import CaptionData, read_captioned
from showtell.datasets.encoded_captions import Split, load_splits, split_hash
from showtell.datasets.pretrained_language import PretrainedLanguage
from showtell.datasets.vocabulary import CaptionTokenizer, WordVocabulary
from showtell.progress import report
from showtell.protocols import Captioner, ImageEncoder, Trainable
from showtell.runs.familiarity import familiarity_of
from showtell.runs.image_source import image_source, require_backbone
from showtell.runs.job import Job, SystemConfig, sketch
from showtell.tasks.likelihood import negative_log_likelihood
from showtell.train.config import TrainConfig
from showtell.wording import counted

CHUNK = 16
"""Images of one batch of a validation: over a language model of 50,000 tokens each copy of the logits of
their captions takes a quarter of a gigabyte."""
MEANING = {
    "loss": "negative log-likelihood per token",
    "perplexity": "perplexity per token",
}


@dataclass(frozen=True)
class CaptioningRun:
    """Trains a system that is a `Captioner`, with all captions of an image in one batch."""

    trains_on: ClassVar = "images with captions"

    system: SystemConfig
    train: TrainConfig
    vocabulary: WordVocabulary | PretrainedLanguage = field(default_factory=WordVocabulary)
    backbone: str = "efficientnet_lite0"
    """The frozen image encoder in front of the system, where that reads features."""
    weights: Literal["float32", "float16"] = "float32"
    """The type in which the checkpoint stores the parameters."""

    def read(self, data: Path, format: str | None = None) -> CaptionData:
        """The images and captions of a folder or file. A backbone that is not here is refused before."""
        require_backbone(self._shape(), self.backbone)
        if isinstance(self.vocabulary, PretrainedLanguage):
            assert self.vocabulary.given  # one that is not on this machine is refused before the data is read
        return read_captioned(data, format)

    def _shape(self) -> nn.Module:
        """The system without parameters."""
        return sketch(self.system, "captioning", Trainable, ImageEncoder, Captioner)

    def prepare(self, dataset: CaptionData, device: str) -> Job:
        """Vocabulary, features and the system; the best parameters by the validation loss are kept."""
        images = image_source("captioning", self._shape(), self.backbone, device)
        tokenizer, splits = load_splits(dataset.entries, self.vocabulary, images.cache)
        torch.manual_seed(self.train.seed)
        system, frozen = self._build(images.system, tokenizer)
        run = replace(self, system=cast(Any, system).config)
        training, validation = splits["train"], splits["val"]
        sampler = Sampler(len(training), run.train.batch_size, run.train.seed)
        language = self.vocabulary if isinstance(self.vocabulary, PretrainedLanguage) else None
        return Job(
            run,
            system,
            load_batch=lambda index: training.batch(sampler(index)),
            describe=lambda index: ", ".join(training.paths[i].name for i in sampler(index)),
            data={"hash": split_hash(splits), **{name: len(split) for name, split in splits.items()}},
            about=f"{len(training)} training and {counted(len(validation), 'validation image')}, "
            f"{len(tokenizer)} tokens",
            card=CardFacts(
                {"training images": f"{len(training):,}", "validation images": f"{len(validation):,}"},
                MEANING,
                (*images.sources, *([language.about] if language else [])),
                "`showtell evaluate --model FOLDER --data DIR` measures more.",
            ),
            validate=lambda system: validate(system, validation),
            tokenizer_json=tokenizer.to_json(),
            cuts=[split.cuts for split in splits.values()],
            familiarity=familiarity_of(splits),
            preprocess={**images.preprocess, **({"texts": language.texts} if language else {})},
            dtype=getattr(torch, run.weights),
            frozen=frozen,
        )

    def _build(self, config: Any, tokenizer: CaptionTokenizer) -> tuple[nn.Module, tuple[Frozen, ...]]:
        """The system, with the pretrained language model that the vocabulary names, and what is frozen."""
        if isinstance(self.vocabulary, PretrainedLanguage):
            return self.vocabulary.under(config)
        return config.with_tokenizer(tokenizer).build(), ()


@torch.inference_mode()
def validate(system: nn.Module, split: Split) -> dict[str, float]:
    """Teacher-forced negative log-likelihood per token over a split, and its exponential."""
    captioner: Any = cast(Captioner, system)
    device = next(system.parameters()).device
    total, tokens = 0.0, 0
    for first in range(0, len(split), CHUNK):
        items = range(first, min(first + CHUNK, len(split)))
        encoded = captioner.encode_images(split.images(items).to(device))
        captions = [split.captions[i] for i in items]
        loss, count = negative_log_likelihood(captioner, encoded, captions)
        total, tokens = total + loss, tokens + count
        report("validating", items.stop, len(split))
    return {"loss": total / tokens, "perplexity": math.exp(total / tokens)}
