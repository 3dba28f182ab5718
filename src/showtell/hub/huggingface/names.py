"""Names of their tensors as the reference writes them, whatever wrapped the model that was saved."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from showtell.wording import listed

logger = logging.getLogger(__name__)
INNER = re.compile(r"\b(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""Put inside names by `torch.compile`, FSDP and activation checkpointing."""


def align(
    found: Mapping[str, Tensor], anchor: str, base: str, heads: tuple[str, ...] = (), *, always: bool = False
) -> dict[str, Tensor]:
    """Their tensors without what wrappers put before the names: `module.`, `model.`, `0.auto_model.`.

    `anchor` is a tensor of every model of the family, named as in the encoder alone. The encoder's names
    begin with `base` where there is a tensor of one of the `heads`, or `always`; else they do not.

    Raises `ValueError` where the anchor is there twice, or two names become one.
    """
    out = _renamed(found, {name: INNER.sub("", name) for name in found})
    places = [name.removesuffix(anchor) for name in out if f".{name}".endswith(f".{anchor}")]
    if len(places) > 1:
        raise ValueError(f"the file holds several models, under {listed(sorted(places))}; save one of them")
    outer = "".join(places)
    if f".{outer}".endswith(f".{base}"):
        outer = outer.removesuffix(base)
    if outer:
        logger.info("took the prefix %r off the names of tensors", outer)
    out = _renamed(out, {name: name.removeprefix(outer) for name in out})
    headed = always or any(name.startswith(heads) for name in out)
    based = base + anchor in out if places else any(name.startswith(base) for name in out)
    if headed and not based:
        beside = [head.split(".")[0] for head in heads]
        return _renamed(out, {n: n if n.startswith((base, *beside)) else base + n for n in out})
    return out if headed else _renamed(out, {name: name.removeprefix(base) for name in out})


def untie(found: Mapping[str, Tensor], copies: Mapping[str, str]) -> dict[str, Tensor]:
    """Their tensors without the `copies` of others, which are named after them.

    A file that holds the copy alone gives the other. Raises `ValueError` for a copy that differs.
    """
    out = dict(found)
    for copy, name in copies.items():
        if (tied := out.pop(copy, None)) is None:
            continue
        own = out.setdefault(name, tied)
        if own.shape == tied.shape and not torch.equal(own.nan_to_num(), tied.nan_to_num()):
            raise ValueError(f"{copy} differs from {name}; only a model that ties them is supported")
    return out


def _renamed(found: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    if len(set(names.values())) < len(names):
        twice = sorted(n for n in names if list(names.values()).count(names[n]) > 1)
        raise ValueError(f"tensors of one name once prefixes are taken off: {listed(twice)}")
    return {names[name]: tensor for name, tensor in found.items()}


def respell(found: Mapping[str, Tensor], rules: Mapping[str, str]) -> dict[str, Tensor]:
    """Their tensors with each pattern of `rules` replaced: names that the reference's modules have in memory.

    `torch.save(model.state_dict())` writes those; `save_pretrained` writes the older ones.
    """
    names = {name: name for name in found}
    for pattern, replacement in rules.items():
        names = {name: re.sub(pattern, replacement, new) for name, new in names.items()}
    return _renamed(found, names)
