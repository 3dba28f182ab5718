"""A single stream that begins as a pretrained ViT, as ViLT does.

The projection of the patches, [class], the positions and the transformer are taken over. A LayerScale is
folded into the linear layer before it, which computes the same. The embedding of texts and the heads have
nothing to take over, and learn at the full rate.

Source: Kim et al. 2021, "ViLT", section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from showtell.fusion.single_stream import SingleStream
from showtell.fusion.visual.patches import PatchEmbedder
from showtell.nn.transformer import Transformer
from showtell.protocols import Rate

Config = TypeVar("Config")
SIZES = "width", "depth", "num_heads", "mlp_dim", "patch_size", "activation", "eps", "mean", "std"


@dataclass(frozen=True)
class ViTStartConfig:
    """Of a system that begins as a pretrained ViT, or at random."""

    image_rate: float = 1.0
    """The learning rate of what the ViT gave, as a multiple of that of the others."""

    def with_image_tower(self: Config, image: Any) -> Config:
        """With the sizes of a ViT, which `begin_images` loads."""
        return replace(cast(Any, self), **{name: getattr(image, name) for name in SIZES})


class ViTStart(SingleStream):
    """A pre-norm stream of patches and words."""

    image: PatchEmbedder
    transformer: Transformer

    @property
    def rates(self) -> dict[str, Rate]:
        """The learning rates by the parameters' prefixes."""
        return dict.fromkeys(("image.", "transformer."), Rate(self.config.image_rate))

    @torch.no_grad()
    def begin_images(self, encoder: Any) -> None:
        """Begin with the parameters of a ViT; its positions are resized to the grid of `image_size`."""
        side = self.config.image_size // self.config.patch_size
        self.image.patches.load_state_dict(encoder.embed.patches.state_dict())
        self.image.class_token.copy_(encoder.embed.class_token)
        self.image.positions.copy_(encoder.embed.positions(side, side))
        self.transformer.load_state_dict(_unscaled(encoder.transformer.state_dict()))


def _unscaled(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Parameters of blocks, each LayerScale multiplied into the layer whose output it scales."""
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith("_scale.scale")}
    for branch, layer in (("attention", "attention.output"), ("mlp", "mlp.down")):
        for name in tensors.keys() - kept.keys():
            if name.endswith(f".{branch}_scale.scale"):
                block, scale = name.removesuffix(f"{branch}_scale.scale"), tensors[name]
                kept[f"{block}{layer}.weight"] = scale[:, None] * kept[f"{block}{layer}.weight"]
                kept[f"{block}{layer}.bias"] = scale * kept[f"{block}{layer}.bias"]
    return kept
