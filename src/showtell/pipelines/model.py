"""A loaded model: a system with its tokenizer and its image preprocessing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from showtell.checkpoint.adapters import adapted
from showtell.checkpoint.load import Checkpoint
from showtell.data.batch import Batch
from showtell.data.images.decode import MAX_PIXELS
from showtell.data.prefetch import prefetch
from showtell.data.tokenizers.load import fits, load_tokenizer
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.data.tokenizers.words import WordTokenizer
from showtell.device import Precision, choose_device
from showtell.errors import UsageError, UserError
from showtell.hub.checkpoints import SHIPPED_MODELS, open_checkpoint
from showtell.hub.sources import Sources
from showtell.pipelines.abilities import keeps, require
from showtell.pipelines.image_input import ImageInput, ImageLike, load_image_input, many
from showtell.pipelines.precision import laid_out
from showtell.pipelines.text_input import Text, encode_all, read_text, text_batches
from showtell.protocols import Captioner, Encoded, HasTokenEmbeddings, ImageEncoder, SharedSpace, TextEncoder
from showtell.tasks.caption import BEAM, Caption, caption
from showtell.tasks.chance import Chance
from showtell.tasks.familiarity import Familiarity
from showtell.wording import lacks

SHIPPED = SHIPPED_MODELS / "default"
BATCH = 16
"""Images per forward pass."""


@dataclass(eq=False)
class Model:
    """Images and texts in; NumPy arrays and strings out, or by the other methods tensors on its device."""

    system: Any
    """In evaluation mode."""
    vocabulary: WordTokenizer | SubwordTokenizer | None
    image_input: ImageInput | None
    """None for a system without images."""
    hash: str
    """SHA-256 of everything that decides an answer: the checkpoint, its backbone and its precision."""
    name: str
    """The recipe and the first 12 digits of the hash, for people."""
    max_length: int | None = None
    """Tokens per text, special tokens included; None for no limit."""
    device: str = "cpu"
    familiarity: Familiarity | None = None
    """The density of the training images, where the checkpoint holds it."""
    chance: Chance | None = None
    """What texts score with images that they describe, or not, where the checkpoint says it."""
    document_schema: Any = None
    """The JSON schema of the documents that it was tuned to read."""

    def encode_images(self, images: ImageLike | Iterable[ImageLike]) -> np.ndarray:
        """One vector per image, `float32 [B D]`, for files, PIL images or arrays, one or many.

        Raises `ImageError` for a file that cannot be read, `UsageError` for a model that is no image encoder.
        """
        parts = [encoded.pooled.cpu().numpy() for encoded in self._encoded(images)]
        return np.concatenate(parts or [self.encode([]).pooled.cpu().numpy()])

    def encode_texts(self, texts: str | Sequence[str], *, strict: bool = False) -> np.ndarray:
        """One vector per text, `float32 [R D]`, one or many; texts that are too long are cut, with a warning.

        Raises `UsageError` for a model that is no text encoder, `UserError` with `strict` for a text to cut.
        """
        return self.text_vectors([texts] if isinstance(texts, str) else texts, strict).cpu().numpy()

    def caption(self, images: ImageLike | Iterable[ImageLike]) -> list[str]:
        """The best caption of each image, for files, PIL images or arrays, one or many.

        `showtell.caption` gives log-probabilities and tags. Raises as `encode_images`, and of no captioner.
        """
        return [text for encoded in self._encoded(images) for text in self.best_captions(encoded)]

    def can(self, protocol: type) -> bool:
        """Whether the system keeps a protocol of `showtell.protocols`."""
        return keeps(self.system, protocol)

    def require(self, *protocols: type) -> None:
        """Raises `UsageError` for the first protocol that the system does not keep."""
        require(self.name, self.system, protocols)

    @property
    def tokenizer(self) -> WordTokenizer | SubwordTokenizer:
        """Raises `UsageError` for a model without one."""
        if self.vocabulary is None:
            raise UsageError(f"the model {self.name} has no tokenizer; choose another with --model")
        return self.vocabulary

    @property
    def words(self) -> WordTokenizer:
        """Raises `UsageError` for a model whose tokens are not whole words."""
        if not isinstance(self.tokenizer, WordTokenizer):
            raise UsageError(f"the tokens of {self.name} are not whole words; choose another with --model")
        return self.tokenizer

    @property
    def preprocessing(self) -> str:
        """Name of the image preprocessing; another name means other vectors."""
        return self._image_input.version

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """One decoded image, `uint8 [H W 3]`, to `uint8 [S S 3]` as the training images were prepared."""
        return self._image_input.prepare(pixels)

    def read(self, image: ImageLike, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """One image, prepared. Raises `ImageError` for a file that cannot be read."""
        return self._image_input.read(image, max_pixels)

    @torch.no_grad()
    def encode(self, images: Sequence[np.ndarray]) -> Encoded:
        """Prepared images, `uint8 [S S 3]`, in float32; of a model that only compares images with texts,
        `tokens` is the pooled vector, `[B 1 D]`.
        """
        self.require(ImageEncoder)
        shape = self._image_input.prepare.shape
        pixels = np.stack(images) if len(images) else np.empty((0, *shape), np.uint8)
        batch = self._image_input.batch(pixels).to(self.device)
        features = batch.images.features.mean(1) if self._image_input.backbone else None
        if self.can(SharedSpace) and not self.can(Captioner):
            vectors = self.system.image_vectors(batch).float()
            return Encoded(vectors[:, None], vectors, features=features)
        encoded = self.system.encode_images(batch)
        return Encoded(encoded.tokens.float(), encoded.pooled.float(), encoded.keep, features)

    def caption_encoded(
        self,
        encoded: Encoded,
        *,
        beam: int = BEAM,
        num: int = 1,
        consensus: bool = True,
        sample: Literal["nucleus"] | None = None,
        seed: int = 0,
    ) -> list[list[Caption]]:
        """The `num` best captions of each encoded image, with their log-probabilities."""
        self.require(Captioner)
        read = self.system, self.tokenizer, encoded.to(self.device)
        return caption(*read, beam=beam, num=num, consensus=consensus, sample=sample, seed=seed)

    def best_captions(self, encoded: Encoded) -> list[str]:
        """The best caption of each encoded image."""
        return [best.text for best, *_ in self.caption_encoded(encoded)] if len(encoded.pooled) else []

    def read_text(self, text: str) -> Text:
        """A text tokenized, words that the model does not know set apart."""
        return read_text(text, self.tokenizer, self.max_length)

    def text_vectors(self, texts: Sequence[str], strict: bool = False) -> Tensor:
        """One vector per text, `float32 [R D]`."""
        self.require(TextEncoder)
        return self.vectors_of(encode_all(texts, self.tokenizer, self.max_length, self.name, strict))

    @torch.no_grad()
    def vectors_of(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """One vector per tokenized text, `float32 [R D]`."""
        self.require(TextEncoder)
        parts, places = list[Tensor](), list[int]()
        for some, batch in self.batches(rows):
            fast = self.can(SharedSpace)
            vectors = self.system.text_vectors(batch) if fast else self.system.encode_texts(batch).pooled
            parts.append(vectors.float())
            places += some
        return torch.cat(parts)[torch.tensor(places).argsort()] if parts else self.text_vectors([""])[:0]

    def batches(self, rows: Sequence[Sequence[int]]) -> Iterator[tuple[list[int], Batch]]:
        """Tokenized texts as batches on the model's device, with their places among all."""
        for places, batch in text_batches(rows, self.tokenizer.pad):
            yield places, batch.to(self.device)

    def _encoded(self, images: ImageLike | Iterable[ImageLike]) -> Iterator[Encoded]:
        given = many(images)
        one = isinstance(given, list) and len(given) == 1  # nothing to read ahead
        prepared = map(self.read, given) if one else prefetch(self.read, given, ahead=2 * BATCH)
        while some := list(islice(prepared, BATCH)):
            yield self.encode(some)

    @property
    def _image_input(self) -> ImageInput:
        if self.image_input is None:
            raise UsageError(f"the model {self.name} {lacks(ImageEncoder)}; choose another with --model")
        return self.image_input


def load_model(
    name_or_folder: Path | str | None = None,
    device: str = "auto",
    *,
    regions: Path | str | None = None,
    adapter: Path | str | None = None,
    precision: Precision = "float32",
) -> Model:
    """Load a checkpoint, a run's folder, or a name of `showtell.models()`; default: the shipped captioner.

    A folder comes before a name. `regions` is a file for a model that reads those; default: that of its
    training. `adapter` is a folder that was trained on the model; by itself it names its base. Raises
    `UserError` when it is missing or damaged, `MissingError` for a package that is not installed and an
    adapter of another model, `UsageError` for a device or a precision that is not there.

    Example: `load_model().caption("cat.jpg")`
    """
    device, sources = choose_device(device), Sources()
    base = open_checkpoint(name_or_folder or SHIPPED, device, sources.tensors)
    return _model(adapted(Path(adapter), base) if adapter else base, sources, device, regions, precision)


def _model(
    checkpoint: Checkpoint, sources: Sources, device: str, regions: Path | str | None, precision: Precision
) -> Model:
    system: Any = laid_out(checkpoint.system.requires_grad_(False), device, precision)
    images = load_image_input(checkpoint.preprocess, checkpoint.folder, device, regions=regions)
    if isinstance(system, ImageEncoder) and images is None:
        raise UserError(f"{checkpoint.folder / 'preprocess.json'} says nothing of images, which it needs")
    file, said = checkpoint.folder / "tokenizer.json", checkpoint.preprocess
    json = checkpoint.tokenizer_json or sources.tokenizer_json(said)
    vocabulary = load_tokenizer(json, str(file), said.get("texts")) if json else None
    rows = len(system.token_embeddings()) if isinstance(system, HasTokenEmbeddings) else None
    if vocabulary and rows is not None and not fits(len(vocabulary), rows):
        raise UserError(f"{file} belongs to another model; copy the whole folder")
    decide = [checkpoint.hash, *([images.backbone.hash] if images and images.backbone else [])]
    decide += [] if precision == "float32" else [precision]
    digest = hashlib.sha256(" ".join(decide).encode()).hexdigest() if decide[1:] else checkpoint.hash
    return Model(
        system=system,
        vocabulary=vocabulary,
        image_input=images,
        hash=digest,
        name=f"{checkpoint.record.get('recipe', type(system).__name__)}@{digest[:12]}",
        max_length=getattr(system.config, "max_length", None),
        device=device,
        familiarity=Familiarity.of(known) if (known := checkpoint.familiarity) else None,
        chance=Chance.recorded(checkpoint.record.get("validation", {})),
        document_schema=checkpoint.record.get("data", {}).get("schema"),
    )
