"""The complete run of two towers: images with captions in, a checkpoint that finds one by the other out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from showtell.checkpoint.card import pairing_card
from showtell.data.batch import Batch, TextBatch, pad
from showtell.data.sampler import Sampler
from showtell.data.tokenizers.families import Name
from showtell.data.tokenizers.folder import tokenizer_of
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.data.tokenizers.training import Kind
from showtell.datasets.cache import feature_cache, pixel_cache, pixel_preprocess
from showtell.datasets.captions import Split, WordVocabulary, load_splits, split_hash
from showtell.hub.backbones import load_backbone
from showtell.hub.catalogue import package_path
from showtell.hub.huggingface.folder import import_folder
from showtell.runs.captioning import CaptionData, read_captioned
from showtell.runs.execute import fit
from showtell.systems.bert import BERTEncoder
from showtell.systems.clip import CLIP, CLIPConfig
from showtell.systems.lit import LiT, LiTConfig
from showtell.systems.vse import VSE, VSEConfig
from showtell.tasks.metrics import recall
from showtell.tasks.retrieval import ranks_both_ways
from showtell.train.config import TrainConfig

TwoTowers = CLIP | LiT | VSE
CHUNK = 256
METRIC = "text_to_image_recall10"
"""What the best weights are chosen by: how often a caption finds its image among the first ten of `val`."""


@dataclass(frozen=True)
class SubwordVocabulary:
    """Pieces of words, all from the training split."""

    kind: Kind = "bpe"
    family: Name = "clip"
    vocab_size: int = 49408
    """At most; few texts hold fewer."""
    max_length: int = 77
    """Tokens of a caption that are kept, start and end among them."""

    def learn(self, texts: Iterable[str]) -> SubwordTokenizer:
        """The pieces of the training texts."""
        return SubwordTokenizer.train(texts, self.kind, self.vocab_size, self.family)


@dataclass(frozen=True)
class PretrainedText:
    """The vocabulary and the weights of a text tower that a package carries."""

    package: str = "all-MiniLM-L6-v2"
    """The name of a package of `hub.packages`."""
    max_length: int = 64
    """Tokens of a caption that are kept, start and end among them."""

    def learn(self, texts: Iterable[str]) -> SubwordTokenizer:
        """Its tokenizer, whatever the texts."""
        return tokenizer_of(package_path(self.package))

    def encoder(self, dropout: float) -> BERTEncoder:
        """Its network, without what only its own training used."""
        given = cast(BERTEncoder, import_folder(package_path(self.package)))
        encoder = BERTEncoder(replace(given.config, pooler=False, pooling="mean", dropout=dropout))
        encoder.load_state_dict({n: t for n, t in given.state_dict().items() if not n.startswith("pooler.")})
        return encoder


@dataclass(frozen=True)
class ContrastiveRun:
    """Everything that decides the result, but the data and the seed's machine."""

    system: CLIPConfig | LiTConfig | VSEConfig
    train: TrainConfig
    vocabulary: WordVocabulary | SubwordVocabulary | PretrainedText
    backbone: str = "efficientnet_lite0"
    """The frozen network before the images' tower; CLIP has none."""

    def read(self, data: Path, format: str | None = None) -> CaptionData:
        """The images and captions of a folder or file, with what is wrong said on standard error."""
        return read_captioned(data, format)

    def run(
        self, name: str, data: CaptionData, output: Path, *, resume: bool = False, device: str = "cpu"
    ) -> dict[str, Any]:
        """Train, keep the best on `val`, write `output/model`; return what was reached."""
        if isinstance(self.system, CLIPConfig):
            size = self.system.image_size
            cache, sight = pixel_cache(size), pixel_preprocess(size)
        else:
            backbone = load_backbone(self.backbone, device)
            cache = feature_cache(backbone)
            sight = {"backbone": self.backbone, "version": backbone.preprocessing}
        tokenizer, splits = load_splits(data.entries, self.vocabulary, cache)
        torch.manual_seed(self.train.seed)
        system = self.build(len(tokenizer))
        recipe = replace(self, system=system.config)
        training, validation = splits["train"], splits["val"]
        # An image that came twice would be its own negative.
        sampler = Sampler(len(training.rows), recipe.train.batch_size, recipe.train.seed, distinct=True)
        return fit(
            system,
            recipe,
            output,
            name=name,
            data={"hash": split_hash(splits), **{s: len(split.rows) for s, split in splits.items()}},
            about=f"{len(training.rows)} images to learn from, {len(validation.rows)} to choose by, "
            f"{len(tokenizer)} tokens",
            load_batch=lambda index: training.pairs(sampler(index), sampler.epoch(index)),
            validate=lambda module: validate(cast(TwoTowers, module), validation),
            describe=lambda index: ", ".join(training.paths[i].name for i in sampler(index)),
            tokenizer_json=tokenizer.to_json(),
            preprocess=sight,
            card=pairing_card,
            resume=resume,
            device=device,
        )

    def build(self, vocab_size: int) -> TwoTowers:
        """The system, its text tower with the package's weights where one is named, else untrained."""
        match self.system:
            case CLIPConfig():
                return CLIP(replace(self.system, vocab_size=vocab_size))
            case VSEConfig():
                return VSE(replace(self.system, vocab_size=vocab_size))
            case LiTConfig(text=text):
                if not isinstance(self.vocabulary, PretrainedText):
                    return LiT(replace(self.system, text=replace(text, vocab_size=vocab_size)))
                encoder = self.vocabulary.encoder(text.dropout)
                system = LiT(replace(self.system, text=encoder.config))
                system.text = encoder
                return system


@torch.inference_mode()
def validate(system: TwoTowers, split: Split) -> dict[str, float]:
    """R@1, 5, 10 of each caption among the images, and of each image among all captions."""
    images, texts, owner = embed_split(system, split)
    of_texts, of_images = ranks_both_ways(images, texts, owner)
    return {
        **{f"text_to_image_recall{k}": value for k, value in recall(of_texts).items()},
        **{f"image_to_text_recall{k}": value for k, value in recall(of_images).items()},
    }


def embed_split(system: TwoTowers, split: Split) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors of a split's images `[B D]` and of all their captions `[R D]`, and whose those are, `[R]`."""
    device = next(cast(nn.Module, system).parameters()).device
    places = range(len(split.rows))
    images = [
        system.image_vectors(split.images(places[first : first + CHUNK]).to(device))
        for first in places[::CHUNK]
    ]
    captions = [(owner, ids) for owner, some in enumerate(split.captions) for ids in some]
    captions.sort(key=lambda caption: len(caption[1]))  # nothing is computed for padding
    texts = []
    for first in range(0, len(captions), CHUNK):
        ids, keep = pad([ids for _, ids in captions[first : first + CHUNK]])
        texts.append(system.text_vectors(Batch(texts=TextBatch(ids, keep)).to(device)))
    owner = torch.tensor([owner for owner, _ in captions])
    return torch.cat(images).float().cpu(), torch.cat(texts).float().cpu(), owner
