"""The manifest of a library whose `library.json` is damaged or missing, read from its tables."""

from __future__ import annotations

import logging
from typing import Any

from showtell.library.failures import DamagedError, reading
from showtell.library.manifest import Manifest, VectorSet
from showtell.library.store import MANIFEST, Store

logger = logging.getLogger(__name__)


def recovered(store: Store) -> Manifest:
    """One set per model that has a readable table, the one written last at the end.

    The damaged file is kept beside it. Raises `UserError` if a table is sound and cannot be read.
    """
    path = store.folder / MANIFEST
    if path.exists():
        path.replace(path.with_suffix(".damaged"))
    manifest = Manifest()
    for name in sorted(store.names(), key=lambda name: _written_at(store, name)):
        try:
            table = store.table(VectorSet(name, "", "", "", False))
            with reading(store.folder):
                manifest = manifest.having(_set_of(name, table)) if table.count_rows() else manifest
        except DamagedError as error:
            logger.warning("%s cannot be read and is dropped: %s", name, error.reason)
    if manifest.sets:
        store.publish(manifest)
    logger.warning(
        "%s was made again from the tables: vectors of %s",
        path,
        ", ".join(known.name for known in manifest.sets) or "no model",
    )
    return manifest


def _set_of(name: str, table: Any) -> VectorSet:
    row = table.search().select(["model", "preprocessing"]).limit(1).to_list()[0]
    captioned = table.count_rows("caption IS NOT NULL") > 0
    return VectorSet(name, row["model"], row["preprocessing"], row["model"][:12], captioned)


def _written_at(store: Store, name: str) -> float:
    versions = store.folder / f"{name}.lance" / "_versions"
    return max(version.stat().st_mtime for version in versions.iterdir())
