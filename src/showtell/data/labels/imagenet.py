"""The 1,000 classes of ImageNet, by name.

The names are those of the classes' WordNet synsets, in the order of the logits of networks trained on it.
The machine called crane, as the bird is, became a construction crane.

Source: Russakovsky et al. 2015, "ImageNet Large Scale Visual Recognition Challenge" (ILSVRC 2012).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def imagenet_synonyms() -> tuple[tuple[str, ...], ...]:
    """Of each class, its names, the usual first.

    >>> imagenet_synonyms()[967], imagenet_synonyms()[281]
    (('espresso',), ('tabby', 'tabby cat'))
    """
    lines = Path(__file__).with_suffix(".txt").read_text("utf-8").splitlines()
    return tuple(tuple(line.split(", ")) for line in lines)


@cache
def imagenet_classes() -> tuple[str, ...]:
    """One name per class: its first, with the second where two classes share the first.

    >>> names = imagenet_classes()
    >>> len(names) == len(set(names)) == 1000, names[134], names[639]
    (True, 'crane', 'maillot (tank suit)')
    """
    named: list[str] = []
    for first, *others in imagenet_synonyms():
        named.append(f"{first} ({others[0]})" if first in named and others else first)
    return tuple(named)
