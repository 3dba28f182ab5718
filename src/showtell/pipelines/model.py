"""A trained system ready to be asked: its network, its words, and what prepares images for it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from showtell.checkpoint.load import load_checkpoint
from showtell.data.batch import Batch, TextBatch, pad
from showtell.data.images.decode import MAX_PIXELS, load_image
from showtell.data.tokenizers.load import load_tokenizer
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.data.tokenizers.words import WordTokenizer
from showtell.device import choose_device
from showtell.errors import UsageError, UserError
from showtell.hub.sources import frozen_tensors
from showtell.nn.cpu.packed import pack
from showtell.pipelines.preprocess import Sight, load_sight
from showtell.protocols import (
    Captioner,
    CausalLanguageModel,
    Encoded,
    HasTokenEmbeddings,
    ImageEncoder,
    MaskedLanguageModel,
    SharedSpace,
    TextEncoder,
)
from showtell.tasks.caption import Caption, caption

SHIPPED = Path(__file__).parents[1] / "models" / "default"
TEXTS = 64
ABILITIES: dict[Any, str] = {
    Captioner: "puts no images into words",
    CausalLanguageModel: "goes on with no texts",
    ImageEncoder: "sees no images",
    TextEncoder: "has no vectors for texts",
    MaskedLanguageModel: "guesses no hidden words",
    HasTokenEmbeddings: "has no words",
}


@dataclass(eq=False)
class Model:
    """Images and words in, captions and vectors out; what a library calls its `LibraryEncoder`."""

    system: Any
    """The network of the checkpoint, in evaluation mode."""
    vocabulary: WordTokenizer | SubwordTokenizer | None
    sight: Sight | None
    """How images reach the network; None where it sees none."""
    hash: str
    """Of everything that decides an answer: the checkpoint, and the backbone's weights where there is one."""
    name: str
    """The recipe and the beginning of the hash, for people."""
    max_length: int | None = None
    """Tokens of a text that the network reads, specials included; None where any number."""
    device: str = "cpu"

    def can(self, ability: type) -> bool:
        """Whether the network keeps one of the protocols of `showtell.protocols`."""
        return isinstance(self.system, ability)

    def require(self, *abilities: type) -> None:
        """Raises `UsageError` where the network does not keep one of the protocols."""
        for ability in abilities:
            if not self.can(ability):
                raise UsageError(f"the model {self.name} {ABILITIES[ability]}; choose another with --model")

    @property
    def tokenizer(self) -> WordTokenizer | SubwordTokenizer:
        """Raises `UsageError` for a network that reads no words."""
        if self.vocabulary is None:
            raise UsageError(f"the model {self.name} reads no words; choose another with --model")
        return self.vocabulary

    @property
    def words(self) -> WordTokenizer:
        """Raises `UsageError` for a network that does not read whole words."""
        if not isinstance(self.tokenizer, WordTokenizer):
            raise UsageError(f"the model {self.name} reads pieces of words; choose another with --model")
        return self.tokenizer

    @property
    def preprocessing(self) -> str:
        """Version of how pixels are prepared."""
        return self._sight.version

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """One decoded image, `uint8 [H W 3]`, to `uint8 [S S 3]` as the training images were made."""
        return self._sight.prepare(pixels)

    def read(self, path: Path | str, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """An image file, prepared. Raises `ImageError` when it cannot be read."""
        # A JPEG decoded at twice the size it is shrunk to looks as one decoded whole, and is sooner there.
        return self.prepare(load_image(path, max_pixels, at_least=2 * self._sight.size))

    @torch.no_grad()
    def encode(self, images: Sequence[np.ndarray]) -> Encoded:
        """Prepared images, `uint8 [S S 3]`, to `tokens [B N D]` and `pooled [B D]`, float32 on the CPU."""
        self.require(ImageEncoder)
        size = self._sight.size
        pixels = np.stack(images) if len(images) else np.empty((0, size, size, 3), np.uint8)
        batch = self._sight.batch(pixels).to(self.device)
        if isinstance(self.system, SharedSpace) and not isinstance(self.system, Captioner):
            pooled = self.system.image_vectors(batch).float().cpu()
            return Encoded(pooled[:, None], pooled)  # nobody reads the other tokens
        encoded = self.system.encode_images(batch)
        return Encoded(encoded.tokens.float().cpu(), encoded.pooled.float().cpu())

    @torch.no_grad()
    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """One vector a text, `float32 [R D]` on the CPU; texts too long are cut.

        Raises `UsageError` for a network that has none.
        """
        self.require(TextEncoder)
        rows: dict[int, Tensor] = {}
        for places, batch in self.batches(texts):
            shared = isinstance(self.system, SharedSpace)
            vectors = self.system.text_vectors(batch) if shared else self.system.encode_texts(batch).pooled
            vectors = vectors.float().cpu()
            rows.update(zip(places, vectors, strict=True))
        return torch.stack([rows[place] for place in range(len(texts))]) if rows else torch.empty(0, 0)

    def batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], Batch]]:
        """Texts as the network reads them, on its device, some at a time, each with its place among all."""
        ids = [self.tokenizer.encode(text, self.max_length) for text in texts]
        # Texts of like length go together: nothing is computed for padding.
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        for first in range(0, len(order), TEXTS):
            places = order[first : first + TEXTS]
            padded, keep = pad([ids[place] for place in places], self.tokenizer.pad)
            yield places, Batch(texts=TextBatch(padded, keep)).to(self.device)

    def tell(
        self,
        encoded: Encoded,
        *,
        beam: int = 5,
        num: int = 1,
        sample: Literal["nucleus"] | None = None,
        seed: int = 0,
    ) -> list[list[Caption]]:
        """The `num` best captions of each encoded image with how sure the model is of them."""
        self.require(Captioner)
        return caption(
            self.system, self.words, self.place(encoded), beam=beam, num=num, sample=sample, seed=seed
        )

    def caption(self, encoded: Encoded) -> list[str]:
        """The best caption of each encoded image."""
        return [best.text for best, *_ in self.tell(encoded)] if len(encoded.pooled) else []

    def place(self, encoded: Encoded) -> Encoded:
        """The same on the network's device."""
        return Encoded(encoded.tokens.to(self.device), encoded.pooled.to(self.device))

    @property
    def _sight(self) -> Sight:
        if self.sight is None:
            raise UsageError(f"the model {self.name} {ABILITIES[ImageEncoder]}; choose another with --model")
        return self.sight


def load_model(path: Path | str | None = None, device: str = "auto") -> Model:
    """Read a checkpoint, a training run's folder, or, without a path, the model in the package.

    Raises `UserError` when the folder is missing or damaged, `UsageError` for a device that is not here.

    Example::

        model = load_model()
        model.caption(model.encode([model.read("cat.jpg")]))
    """
    device = choose_device(device)
    checkpoint = load_checkpoint(SHIPPED if path is None else Path(path), device, frozen_tensors)
    system: Any = checkpoint.system.requires_grad_(False)
    if device == "cpu" and not isinstance(system, Captioner):
        pack(checkpoint.system)
    sight = load_sight(checkpoint.preprocess, checkpoint.folder, device)
    if isinstance(system, ImageEncoder) and sight is None:
        raise UserError(f"{checkpoint.folder / 'preprocess.json'} is of a model that sees no images")
    words, file = checkpoint.tokenizer_json, checkpoint.folder / "tokenizer.json"
    vocabulary = load_tokenizer(words, str(file)) if words else None
    if (
        vocabulary
        and isinstance(system, HasTokenEmbeddings)
        and len(vocabulary) != len(system.token_embeddings())
    ):
        raise UserError(f"{file} is of another model; copy the whole folder")
    digest = checkpoint.hash
    if sight and sight.weights_hash:
        digest = hashlib.sha256(f"{checkpoint.hash} {sight.weights_hash}".encode()).hexdigest()
    return Model(
        system=system,
        vocabulary=vocabulary,
        sight=sight,
        hash=digest,
        name=f"{checkpoint.record.get('recipe', type(system).__name__)}@{digest[:12]}",
        max_length=getattr(system.config, "max_length", None),
        device=device,
    )
