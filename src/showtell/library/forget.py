"""Removal of one model's vectors from a library."""

from __future__ import annotations

from pathlib import Path

from showtell.errors import UsageError
from showtell.library.manifest import Manifest
from showtell.library.store import Store


def forget(library_dir: Path | str, name: str) -> None:
    """Remove a model's vectors and the captions that it wrote; those of other models stay.

    Raises `UsageError` if the library has no vectors of that model, or no others; `UserError` as `index`.
    """
    Store.open(library_dir)  # raises if there is none; `writing` would create one
    with Store.writing(library_dir) as store:
        sets = store.manifest().sets
        kept = tuple(known for known in sets if known.name != name)
        if len(kept) == len(sets):
            there = ", ".join(known.name for known in sets)
            raise UsageError(f"{library_dir} has no vectors of {name}; it has those of {there}")
        if not kept:
            raise UsageError(f"{library_dir} has no vectors but those of {name}; delete the folder instead")
        store.publish(Manifest(kept))
        store.drop_all_but(*(known.table for known in kept))
