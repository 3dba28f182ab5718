"""A contrastive run: images with captions in, a system that finds one by the other out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from showtell.checkpoint.card import CardFacts
from showtell.checkpoint.frozen import Frozen, frozen_part, hash_tensors
from showtell.data.batch import Batch
from showtell.data.sampler import Sampler
from showtell.data.texts.lexicon import languages
from showtell.datasets.captions import CaptionData, read_captioned
from showtell.datasets.cuts import Cuts
from showtell.datasets.encoded_captions import Split, load_splits, split_hash
from showtell.datasets.text_features import text_features
from showtell.datasets.translated_captions import TranslatedPairs, in_languages
from showtell.datasets.vocabulary import (
    CaptionTokenizer,
    PretrainedText,
    SubwordVocabulary,
    WordVocabulary,
)
from showtell.errors import UsageError
from showtell.hub.sources import recorded_tokenizer
from showtell.protocols import Contrastive, HasFrozenText, SharedSpace
from showtell.runs.familiarity import familiarity_of, means
from showtell.runs.image_source import image_source, require_backbone
from showtell.runs.job import Job, SystemConfig, sketch
from showtell.runs.text_tower import build_system, text_sources
from showtell.tasks.chance import Chance
from showtell.tasks.metrics import recall
from showtell.tasks.retrieval import ranks_both_ways
from showtell.train.config import TrainConfig
from showtell.wording import counted
from showtell.writing import cache_folder

CHUNK = 256
"""Images or captions of one batch of a validation."""
METRIC = "text_to_image_recall10"
"""The figure by which the best parameters are chosen."""
MEANING = {
    f"{direction}_recall{k}": f"{what}, R@{k}"
    for direction, what in (
        ("text_to_image", "a caption finds its image"),
        ("image_to_text", "an image finds a caption of its own"),
    )
    for k in (1, 5, 10)
}


@dataclass(frozen=True)
class ContrastiveRun:
    """Trains a system that is `Contrastive`, with one caption per image in a batch."""

    trains_on: ClassVar = "images with captions"

    system: SystemConfig
    train: TrainConfig
    vocabulary: WordVocabulary | SubwordVocabulary | PretrainedText
    backbone: str = "efficientnet_lite0"
    """The frozen image encoder in front of the system, where that reads features."""
    weights: Literal["float32", "float16"] = "float32"
    """The type in which the checkpoint stores the parameters."""
    languages: tuple[str, ...] = ()
    """Languages in which English captions are also read, word by word: zh, de, fr."""
    translated: float = 1.0
    """The share of images that come with one more caption, in one of the languages, where there are any."""

    def __post_init__(self) -> None:
        if unknown := set(self.languages).difference(languages()):
            raise UsageError(
                f"no lexicon for {', '.join(sorted(unknown))}; languages may be {', '.join(languages())}"
            )
        if self.languages and not isinstance(self.vocabulary, PretrainedText):
            raise UsageError("words of other languages need a pretrained vocabulary; leave out languages=")
        if not 0 <= self.translated <= 1:
            raise UsageError(f"translated is {self.translated}; give a share between 0 and 1")

    def read(self, data: Path, format: str | None = None) -> CaptionData:
        """The images and captions of a folder or file. A backbone that is not here is refused before."""
        require_backbone(self._shape(), self.backbone)
        return read_captioned(data, format)

    def _shape(self) -> nn.Module:
        """The system without parameters."""
        return sketch(self.system, "contrastive", Contrastive, SharedSpace)

    def prepare(self, dataset: CaptionData, device: str) -> Job:
        """Vocabulary, pixels or features, and the system; the best parameters by recall are kept."""
        images = image_source("contrastive", self._shape(), self.backbone, device)
        tokenizer, splits = load_splits(dataset.entries, self.vocabulary, images.cache)
        torch.manual_seed(self.train.seed)
        system = replace(self, system=images.system).build(tokenizer)
        frozen = self._frozen(system)
        run = replace(self, system=system.config)
        if frozen and isinstance(system, HasFrozenText):
            splits = {name: self._with_text_features(system, split, device) for name, split in splits.items()}
        training, validation = splits["train"], splits["val"]
        load, texts = training.pairs, training.text_features
        if self.languages:
            foreign = self._translated(dataset, training, tokenizer)
            if texts is not None:
                foreign = self._with_text_features(system, foreign, device)
                texts = [*texts, *(foreign.text_features or ())]
            load = TranslatedPairs(training, foreign, self.translated, self.train.seed).pairs
        if isinstance(system, HasFrozenText) and texts is not None:
            system.fit_scales(means(training), torch.cat([*texts]))
        # An image that came twice would be its own negative.
        sampler = Sampler(len(training), run.train.batch_size, run.train.seed, distinct=True)
        return Job(
            run,
            system,
            load_batch=lambda index: load(sampler(index), sampler.epoch(index)),
            describe=lambda index: ", ".join(training.paths[i].name for i in sampler(index)),
            data={"hash": split_hash(splits), **{name: len(split) for name, split in splits.items()}},
            about=f"{len(training)} training and {counted(len(validation), 'validation image')}, "
            f"{len(tokenizer)} tokens",
            card=CardFacts(
                {"training images": f"{len(training):,}", "validation images": f"{len(validation):,}"},
                MEANING,
                (
                    *images.sources,
                    *text_sources(
                        self.vocabulary,
                        "frozen and no part of this checkpoint" if frozen else "trained further",
                    ),
                ),
                "`showtell evaluate --model FOLDER --data DIR` measures more.",
            ),
            validate=lambda system: validate(system, validation),
            tokenizer_json="" if frozen else tokenizer.to_json(),
            cuts=[split.cuts for split in splits.values()],
            familiarity=familiarity_of(splits),
            preprocess={**images.preprocess, **self._reading(bool(frozen))},
            frozen=frozen,
            dtype=getattr(torch, self.weights),
        )

    def _translated(self, dataset: CaptionData, split: Split, tokenizer: CaptionTokenizer) -> Split:
        captions = {entry.path: entry.captions for entry in dataset.entries}
        cuts = Cuts(self.vocabulary.max_length, "vocabulary.max_length keeps", "word-by-word translation")
        translated = in_languages(split, captions, self.languages, partial(cuts.encode, tokenizer))
        cuts.log()
        return translated

    def build(self, tokenizer: CaptionTokenizer) -> Any:
        """The system, its text tower that of the package where the vocabulary names one, else untrained."""
        return build_system(self.system, self.vocabulary, tokenizer)

    def _frozen(self, system: Any) -> tuple[Frozen, ...]:
        """The text tower, where it is that of a package and not trained.

        Raises `UsageError` for one that is neither trained nor pretrained.
        """
        text = getattr(system, "text", None)
        if not isinstance(text, nn.Module) or any(p.requires_grad for p in text.parameters()):
            return ()
        if not isinstance(self.vocabulary, PretrainedText):
            raise UsageError("the text tower is frozen, but not pretrained: it would know nothing")
        return (Frozen.of(system, "text.", self.vocabulary.package),)

    def _with_text_features(self, system: Any, split: Split, device: str) -> Split:
        frozen = hash_tensors(frozen_part(system, "text."))
        system.to(device).eval()
        vectors = text_features(
            split.captions, system.frozen_text_vectors, frozen, cache_folder() / "texts", device
        )
        return replace(split, text_features=vectors)

    def _reading(self, frozen: bool) -> dict[str, Any]:
        """What the checkpoint says of texts: the prompt, and where a frozen encoder's tokenizer is from."""
        if not isinstance(self.vocabulary, PretrainedText):
            return {}
        given = self.vocabulary.given
        said = given.texts
        texts = {"texts": said} if said.get("prompts") else {}
        source = recorded_tokenizer(self.vocabulary.package, given.tokenizer_json)
        return {**texts, "tokenizer": source} if frozen else texts


@torch.inference_mode()
def validate(system: nn.Module, split: Split) -> dict[str, float]:
    """R@1, 5, 10 of captions among images and of images among captions; what pairs score, matched or not."""
    images, texts, owner = embed_split(system, split)
    chance = Chance.of(images, texts, owner)
    of_texts, of_images = ranks_both_ways(images, texts, owner)
    return {
        **{f"text_to_image_recall{k}": value for k, value in recall(of_texts).items()},
        **{f"image_to_text_recall{k}": value for k, value in recall(of_images).items()},
        **(chance.figures() if chance else {}),
    }


def embed_split(system: Any, split: Split) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors of a split's images `[B D]` and of their captions `[R D]`, and each caption's image `[R]`."""
    device = next(system.parameters()).device
    items = range(len(split))
    images = [
        system.image_vectors(split.images(items[first : first + CHUNK]).to(device))
        for first in items[::CHUNK]
    ]
    captions = [(owner, place) for owner, some in enumerate(split.captions) for place in range(len(some))]
    captions.sort(key=lambda one: len(split.captions[one[0]][one[1]]))  # nothing is computed for padding
    texts = [
        system.text_vectors(Batch(texts=split.texts(captions[first : first + CHUNK])).to(device))
        for first in range(0, len(captions), CHUNK)
    ]
    owner = torch.tensor([owner for owner, _ in captions])
    return torch.cat(images).float().cpu(), torch.cat(texts).float().cpu(), owner
