"""A pretrained ViT that a system begins with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from showtell.errors import UsageError
from showtell.hub.catalogue import find
from showtell.hub.checkpoints import open_checkpoint
from showtell.nn.patch_embedding import ImageEmbedding


@dataclass(frozen=True)
class ImageTower:
    """A ViT, and where it is from."""

    system: Any
    about: str

    def sized(self, config: Any) -> Any:
        """A system's config with the sizes of the ViT. Raises `UsageError` for one that begins with none."""
        if not hasattr(config, "with_image_tower"):
            raise UsageError(f"{type(config).__name__} begins with no pretrained ViT; leave out image_tower")
        return config.with_image_tower(self.system.config)


@lru_cache(maxsize=1)
def image_tower(source: str) -> ImageTower:
    """A checkpoint, or the model of a package, read once.

    Raises as `open_checkpoint`, and `UsageError` for what is no ViT with learned positions.
    """
    given = open_checkpoint(source)
    embed = getattr(given.system, "embed", None)
    if not isinstance(embed, ImageEmbedding) or not embed.plain:
        raise UsageError(
            f"{source} is a {type(given.system).__name__}, no ViT with [class] and learned positions"
        )
    package = find(source)
    return ImageTower(given.system, package.about if package else f"{source}@{given.hash[:12]}")
