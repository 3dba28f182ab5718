"""What an image shows, and how familiar it is: facts that are stored beside its vector."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tag:
    """A class of the backbone, such as ImageNet's, and its probability."""

    label: str
    probability: float


@dataclass(frozen=True)
class Sight:
    """What can be said of an image before any caption."""

    tags: list[Tag]
    """The most probable first; none of a backbone without classes."""
    familiarity: float | None
    """Below 1 the image is unlike the training images; None where the model knows nothing of them."""

    @property
    def familiar(self) -> bool | None:
        """Whether the image looks like the training images."""
        return None if self.familiarity is None else self.familiarity >= 1
