"""A single stream that begins as a pretrained ViT, as ViLT does.

The projection of the patches, [class], the positions and the transformer are taken over. A LayerScale is
folded into the linear layer before it, which computes the same. What the text and its heads need learns at
the full rate; its embedding may begin as that of an encoder of texts of the same width.

Source: Kim et al. 2021, "ViLT", section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from showtell.errors import UsageError
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

    def with_text_tower(self: Config, text: Any) -> Config:
        """For the embedding of an encoder of texts, which `begin_texts` loads.

        Raises `UsageError` for one of another width.
        """
        config = cast(Any, self)
        if text.width != config.width:
            raise UsageError(
                f"the texts' embedding has {text.width} channels, the transformer {config.width}; "
                "give an encoder of texts of that width"
            )
        return replace(config, max_length=text.max_length)


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

    def begin_texts(self, encoder: Any) -> None:
        """Begin with the embedding of a `BERTEncoder`."""
        self.text.begin(encoder.embed)


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
