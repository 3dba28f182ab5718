"""A trained captioner ready to be asked: its network, its words, and the frozen backbone before them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from tokenizers import Tokenizer

from showtell.data.batch import Batch
from showtell.data.image import MAX_PIXELS, load_image
from showtell.data.tokenizers.words import WordTokenizer
from showtell.data.transforms import squash
from showtell.errors import UserError
from showtell.hub.backbones import Backbone, load_backbone
from showtell.protocols import Encoded
from showtell.recipes.training import choose_device
from showtell.tasks.caption import Caption, caption
from showtell.train.checkpoint import load_checkpoint

SHIPPED = Path(__file__).parents[1] / "models" / "default"


@dataclass(eq=False)
class Model:
    """Pictures and words in, captions and vectors out; what a library calls its `PictureEncoder`."""

    system: Any
    """The network of the checkpoint, in evaluation mode: it embeds pictures, captions them, has words."""
    tokenizer: WordTokenizer
    backbone: Backbone
    hash: str
    """Of everything that decides an answer: the checkpoint and the backbone's weights."""
    name: str
    """The recipe and the beginning of the hash, for people."""
    preprocessing: str
    device: str = "cpu"

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """One decoded picture, `uint8 [H W 3]`, squashed to `uint8 [S S 3]` as the training pictures were."""
        return squash(pixels, self.backbone.size)

    def read(self, path: Path | str, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """A picture file, prepared. Raises `ImageError` when it cannot be read."""
        # A JPEG decoded at twice the size it is shrunk to looks as one decoded whole, and is sooner there.
        return self.prepare(load_image(path, max_pixels, at_least=2 * self.backbone.size))

    @torch.no_grad()
    def encode(self, pictures: Sequence[np.ndarray]) -> Encoded:
        """Prepared pictures, `uint8 [S S 3]`, to `tokens [B N D]` and `pooled [B D]`, float32 on the CPU."""
        size = self.backbone.size
        pixels = np.stack(pictures) if len(pictures) else np.empty((0, size, size, 3), np.uint8)
        encoded = self.system.embed_image(Batch(grid=self.backbone(pixels).to(self.device)))
        return Encoded(encoded.tokens.float().cpu(), encoded.pooled.float().cpu())

    def tell(
        self,
        encoded: Encoded,
        *,
        beam: int = 5,
        num: int = 1,
        sample: Literal["nucleus"] | None = None,
        seed: int = 0,
    ) -> list[list[Caption]]:
        """The `num` best captions of each encoded picture with how sure the model is of them."""
        return caption(
            self.system, self.tokenizer, self.place(encoded), beam=beam, num=num, sample=sample, seed=seed
        )

    def caption(self, encoded: Encoded) -> list[str]:
        """The best caption of each encoded picture."""
        return [best.text for best, *_ in self.tell(encoded)] if len(encoded.pooled) else []

    def place(self, encoded: Encoded) -> Encoded:
        """The same on the network's device."""
        return Encoded(encoded.tokens.to(self.device), encoded.pooled.to(self.device))


def load_model(path: Path | str | None = None, device: str = "auto") -> Model:
    """Read a checkpoint, a training run's folder, or, without a path, the model in the package.

    Raises `UserError` when the folder is missing or damaged, `UsageError` for a device that is not here.

    Example::

        model = load_model()
        model.caption(model.encode([model.read("cat.jpg")]))
    """
    torch.set_flush_denormal(True)  # denormals make a matrix product 200 times slower
    device = choose_device(device)
    checkpoint = load_checkpoint(SHIPPED if path is None else Path(path), device)
    backbone = load_backbone(str(checkpoint.preprocess.get("backbone")), device)
    wanted = checkpoint.preprocess.get("version")
    if wanted != backbone.preprocessing:
        raise UserError(
            f"{checkpoint.folder} was trained on pictures prepared as {wanted}, this showtell prepares them "
            f"as {backbone.preprocessing}; train it again, or use the showtell that made it"
        )
    try:
        tokenizer = WordTokenizer(Tokenizer.from_str(checkpoint.tokenizer_json))
    except Exception as error:  # the library raises nothing narrower
        raise UserError(f"{checkpoint.folder / 'tokenizer.json'} is damaged: {error}") from error
    system: Any = checkpoint.system.requires_grad_(False)
    if len(tokenizer) != len(system.word_vectors()):
        raise UserError(f"{checkpoint.folder}: tokenizer.json is of another model; copy the whole folder")
    digest = hashlib.sha256(f"{checkpoint.hash} {backbone.hash}".encode()).hexdigest()
    return Model(
        system=system,
        tokenizer=tokenizer,
        backbone=backbone,
        hash=digest,
        name=f"{checkpoint.record.get('recipe', type(system).__name__)}@{digest[:12]}",
        preprocessing=backbone.preprocessing,
        device=device,
    )
