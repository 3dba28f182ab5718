"""Colour jitter, blur and flips with drawn parameters: for one view, or for a batch at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from showtell.data.images import colour


class Drawn(NamedTuple):
    """The parameters of each of `B` views, in the order of application."""

    mirrored: Tensor
    """`bool [B]`, as are `greyed`, `blurred` and `solarised`."""
    turns: Tensor
    """`int64 [B 4]`, the colour change that comes first, second, ...; -1 for none."""
    amounts: Tensor
    """`[B 4]`, of brightness, contrast, saturation and hue."""
    greyed: Tensor
    blurred: Tensor
    sigma: Tensor
    """`[B]`, pixels."""
    solarised: Tensor


def change_one(view: Tensor, drawn: Drawn) -> Tensor:
    """Change a single view `[1 3 S S]`, perhaps in place; a grey one is returned as `[1 1 S S]`."""
    view = view.flip(-1) if drawn.mirrored else view
    for which in drawn.turns[0].tolist():
        if which >= 0:
            view = _colours()[which](view, drawn.amounts[:, which])
    view = colour.grey(view) if drawn.greyed else view
    view = colour.blur(view, drawn.sigma) if drawn.blurred else view
    return colour.solarise(view) if drawn.solarised else view


def change_all(views: Tensor, drawn: Drawn) -> Tensor:
    """Change many views `[B 3 S S]`, perhaps in place."""
    _change(views, drawn.mirrored, lambda some: some.flip(-1))
    place = torch.arange(len(views), device=views.device)
    for turn in drawn.turns.T:  # sort views by their change, to change each group in place
        order = turn[place].argsort()
        views, place = views.index_select(0, order), place[order]
        sizes = torch.bincount(turn + 1, minlength=1 + len(_colours())).tolist()
        _, *parts = zip(views.split(sizes), drawn.amounts[place].split(sizes), strict=True)
        for which, (some, amounts) in enumerate(parts):
            _colours()[which](some, amounts[:, which])
    views = views.index_select(0, place.argsort())
    _change(views, drawn.greyed, colour.grey)
    _change(views, drawn.blurred, colour.blur, drawn.sigma)
    _change(views, drawn.solarised, colour.solarise)
    return views


def _colours() -> tuple[Callable[[Tensor, Tensor], Tensor], ...]:
    """The colour changes by index."""
    return colour.brightness, colour.contrast, colour.saturation, colour.hue


def _change(views: Tensor, some: Tensor, change: Callable[..., Tensor], *amounts: Tensor) -> None:
    """Apply a change to some of the views, each by its own amount."""
    chosen = some.nonzero()[:, 0]
    if len(chosen):
        views[chosen] = change(views.index_select(0, chosen), *(amount[chosen] for amount in amounts))
