"""A single stream that begins as a pretrained encoder of texts, as UNITER and Pixel-BERT begin as BERT.

The embedding of texts and the transformer are taken over; what embeds images, the pooler and the heads have
nothing to take over, and learn at the full rate.

Source: Chen et al. 2020, "UNITER", section 3.1; Huang et al. 2020, "Pixel-BERT", section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from showtell.fusion.single_stream import SingleStream
from showtell.protocols import Rate

Config = TypeVar("Config")


@dataclass(frozen=True)
class BERTStartConfig:
    """Of a system that begins as a pretrained encoder of texts, or at random."""

    text_rate: float = 1.0
    """The learning rate of pretrained parameters, as a multiple of that of the others."""

    def with_text_tower(self: Config, text: Any) -> Config:
        """With the sizes of a pretrained encoder of texts, which `begin_texts` loads."""
        names = ("width", "depth", "num_heads", "mlp_dim", "activation", "eps", "max_length")
        return replace(cast(Any, self), **{name: getattr(text, name) for name in names})


class BERTStart(SingleStream):
    """A post-norm stream whose texts are embedded as BERT's."""

    @property
    def rates(self) -> dict[str, Rate]:
        """The learning rates by the parameters' prefixes."""
        return dict.fromkeys(("text.", "transformer."), Rate(self.config.text_rate))

    def begin_texts(self, encoder: Any) -> None:
        """Begin with the parameters of a `BERTEncoder`."""
        self.text.begin(encoder.embed)
        self.transformer.load_state_dict(encoder.transformer.state_dict())
