"""What the config of every classifier says of its classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

Config = TypeVar("Config", bound="ClassNames")


@dataclass(frozen=True)
class ClassNames:
    """The number of classes and, where they have some, their names; a config inherits it first."""

    num_classes: int = 2
    class_names: tuple[str, ...] = ()
    """In the order of the logits; empty if the classes have no names."""

    def __post_init__(self) -> None:
        if len(self.class_names) not in (0, self.num_classes):
            raise ValueError(f"{len(self.class_names)} names for {self.num_classes} classes")
        if hasattr(super(), "__post_init__"):  # what the rest of the config demands
            super().__post_init__()  # type: ignore[misc]

    def with_classes(self: Config, names: tuple[str, ...]) -> Config:
        """For classes of these names, in the order of the targets."""
        return replace(self, num_classes=len(names), class_names=names)
