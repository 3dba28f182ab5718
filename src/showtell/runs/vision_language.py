"""A vision-language run: images with captions in, an encoder of pairs out that says whether they match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from showtell.checkpoint.card import CardFacts
from showtell.data.batch import Batch, ImageBatch
from showtell.data.images.rand_augment import rand_augment
from showtell.data.sampler import SimilarLengths
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.data.tokenizers.wordpiece import CONTINUES
from showtell.datasets.captions import CaptionData, read_captioned
from showtell.datasets.encoded_captions import Split, load_splits, split_hash
from showtell.datasets.vocabulary import CaptionVocabulary, PretrainedText, SubwordVocabulary
from showtell.errors import UsageError
from showtell.pairing import PairScorer
from showtell.protocols import Trainable
from showtell.runs.familiarity import familiarity_of
from showtell.runs.image_source import ImageSource, fit_of, image_source, require_images
from showtell.runs.image_tower import image_tower
from showtell.runs.job import Job, SystemConfig, require, sketch
from showtell.runs.pair_validation import MEANING, held_out_losses, in_parts, recall_among
from showtell.runs.text_tower import build_system, text_sources
from showtell.train.config import TrainConfig
from showtell.wording import counted

KIND = "vision-language"
METRIC = "recall1"
"""The figure by which the best parameters are chosen."""


def pair_training(
    steps: int,
    batch_size: int,
    learning_rate: float,
    *,
    weight_decay: float = 0.01,
    warmup_steps: int | None = None,
) -> TrainConfig:
    """Linear warm-up, by default for a tenth of the training, ten validations, the best parameters by
    `METRIC`; in bf16 where the device has units for it.
    """
    return TrainConfig(
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        warmup_steps=steps // 10 if warmup_steps is None else warmup_steps,
        weight_decay=weight_decay,
        precision="auto",
        validate_every=max(steps // 10, 1),
        metric=METRIC,
        higher_is_better=True,
        checkpoint_every=max(steps // 10, 1),
    )


@dataclass(frozen=True)
class VisionLanguageRun:
    """Trains a system that is a `PairScorer`, with one caption per image in a batch."""

    trains_on: ClassVar = "images with captions"

    system: SystemConfig
    """`vocab_size` follows from the vocabulary."""
    train: TrainConfig
    vocabulary: SubwordVocabulary | PretrainedText
    """Of a package that encodes texts, where the system begins with its parameters."""
    image_tower: str = ""
    """A ViT that the system begins with: a checkpoint, or a name that `showtell models` lists."""
    backbone: str = "efficientnet_lite0"
    """The frozen image encoder in front of the system, where that reads features."""
    regions: Path | None = None
    """A file of regions that a detector found, in place of the backbone, where the system reads regions."""
    keep_ratio: bool = False
    """Keep the aspect ratio of images, the shorter side at `image_size`, if the system reads several sizes;
    what starts from a model that keeps it does so too."""
    whole_words: bool = True
    """Mask all tokens of a word together, or none."""
    augment: bool = False
    """RandAugment of the training images, where the system reads pixels."""

    def __post_init__(self) -> None:
        learnt = self.vocabulary
        if isinstance(learnt, SubwordVocabulary) and (learnt.kind, learnt.family) != ("wordpiece", "bert"):
            raise UsageError("a vision-language run reads pieces of words: give kind=wordpiece, family=bert")
        longest = getattr(self.system, "max_length", self.vocabulary.max_length)
        if self.vocabulary.max_length > longest:
            raise UsageError(
                f"vocabulary.max_length={self.vocabulary.max_length} is more than the {longest} tokens that "
                "the system reads"
            )

    def read(self, data: Path, format: str | None = None) -> CaptionData:
        """The images and captions of a folder or file. A backbone that is not here is refused before."""
        shape = self._shape()
        require(not self.augment or shape.reads == "pixels", KIND, shape, "only pixels can be augmented")
        require_images(KIND, shape, self.backbone, self.regions)
        fit_of(KIND, shape, self.keep_ratio)
        return read_captioned(data, format)

    def _shape(self) -> Any:
        """The system without parameters."""
        system = image_tower(self.image_tower).sized(self.system) if self.image_tower else self.system
        return sketch(system, KIND, Trainable, PairScorer)

    def _begin(self, device: str) -> tuple[ImageSource, CaptionVocabulary, Any]:
        """Where images come from, where the vocabulary does, and the system, where it is there already."""
        return self._images(self._shape(), device), self.vocabulary, None

    def _images(self, system: nn.Module, device: str, before: str = "") -> ImageSource:
        fit = fit_of(KIND, system, self.keep_ratio, before)
        return image_source(KIND, system, self.backbone, device, regions=self.regions, fit=fit)

    def _sources(self) -> tuple[str, ...]:
        """Whose parameters it begins with, for the model card."""
        texts = text_sources(self.vocabulary, "trained further")
        if not self.image_tower:
            return texts
        return (f"The transformer, trained further: {image_tower(self.image_tower).about}", *texts)

    def prepare(self, dataset: CaptionData, device: str) -> Job:
        """Vocabulary, pixels or features, and the system; the best parameters by recall are kept."""
        images, vocabulary, system = self._begin(device)
        tokenizer, splits = load_splits(dataset.entries, vocabulary, images.cache)
        assert isinstance(tokenizer, SubwordTokenizer)
        if system is None:
            torch.manual_seed(self.train.seed)
            system = build_system(images.system, self.vocabulary, tokenizer)
            if self.image_tower:
                system.begin_images(image_tower(self.image_tower).system)
        run = replace(self, system=system.config)
        training, validation = splits["train"], splits["val"]
        if (queue := getattr(system.config, "queue_size", 0)) > len(training):
            raise UsageError(
                f"system.queue_size={queue} is more than the {len(training)} training images: an image would "
                "be its own negative; set it to fewer"
            )
        continues = torch.tensor([token.startswith(CONTINUES) for token in tokenizer.tokens])
        # An image that came twice would be its own negative.
        sampler = SimilarLengths(len(training), run.train.batch_size, training.lengths, run.train.seed)

        def pairs(split: Split, items: Sequence[int], turn: int) -> Batch:
            batch = split.pairs(items, turn)
            if not self.whole_words:
                return batch
            return replace(batch, texts=replace(batch.texts, groups=words_of(batch.texts.ids, continues)))

        def load_batch(index: int) -> Batch:
            batch = pairs(training, sampler(index), sampler.epoch(index))
            return augmented(batch, (self.train.seed, index)) if self.augment else batch

        return Job(
            run,
            system,
            load_batch,
            describe=lambda index: ", ".join(training.paths[i].name for i in sampler(index)),
            data={"hash": split_hash(splits), **{name: len(split) for name, split in splits.items()}},
            about=f"{len(training)} training and {counted(len(validation), 'validation image')}, "
            f"{len(tokenizer)} tokens",
            card=CardFacts(
                {"training images": f"{len(training):,}", "validation images": f"{len(validation):,}"},
                MEANING,
                (*images.sources, *self._sources()),
            ),
            validate=lambda system: {
                **held_out_losses(system, [pairs(validation, some, 0) for some in in_parts(validation)]),
                **recall_among(system, validation),
            },
            tokenizer_json=tokenizer.to_json(),
            cuts=[split.cuts for split in splits.values()],
            familiarity=familiarity_of(splits),
            preprocess=images.preprocess,
        )


def augmented(batch: Batch, seed: tuple[int, ...]) -> Batch:
    """The batch with each of its images, without padding, changed by RandAugment."""
    generator, pixels, sizes = np.random.default_rng(seed), batch.images.pixels.clone(), batch.images.sizes
    for place, image in enumerate(pixels):
        high, wide = image.shape[1:] if sizes is None else sizes[place].tolist()
        own = image[:, :high, :wide]
        own[:] = torch.from_numpy(
            rand_augment(own.permute(1, 2, 0).numpy(), generator).transpose(2, 0, 1).copy()
        )
    return replace(batch, images=ImageBatch(pixels=pixels, sizes=sizes))


def words_of(ids: Tensor, continues: Tensor) -> Tensor:
    """The index of the word that each of `ids [R L]` belongs to, from 0 in each row.

    `continues [V]` is True for a token that continues a word, such as ##ffe.

    >>> words_of(torch.tensor([[2, 7, 8, 8, 3]]), torch.arange(9) == 8).tolist()
    [[0, 1, 1, 1, 2]]
    """
    return (~continues[ids]).long().cumsum(1).sub(1).clamp(min=0)
