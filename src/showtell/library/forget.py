"""Drop the vectors of a model that is no longer asked."""

from __future__ import annotations

from pathlib import Path

from showtell.errors import UsageError
from showtell.library.manifest import Manifest
from showtell.library.store import Store


def forget(library_dir: Path | str, name: str) -> None:
    """Drop a model's set of vectors, and the captions it wrote; the other sets stay as they are.

    Raises `UsageError` when the library has no set of that name, or no other; `UserError` as `index`.
    """
    Store.open(library_dir)  # one that is not there is not made
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
