"""Captions without spaces between words, stored before full-text search could find them."""

from __future__ import annotations

import logging
from typing import Any

import pyarrow as pa

from showtell.library.failures import changing, reading
from showtell.library.rows import search_text
from showtell.library.store import Store
from showtell.library.text import CAPTION_INDEX
from showtell.wording import counted

logger = logging.getLogger(__name__)


def respace(store: Store, table: Any) -> None:
    """Bring the text that is searched up to date with the captions, in one change; it is logged, counted.

    Rows are in the order of insertion, so where the first of such captions is right, all are.
    """
    with reading(store.folder):
        rows = table.search().select(["id", "text", "captions", "caption"]).to_arrow()
    stale: dict[int, str] = {}
    for batch in rows.to_batches():
        for row in batch.to_pylist():
            plain = "\n".join([*row["captions"], *filter(None, [row["caption"]])])
            if plain.isascii():
                continue
            text = search_text(row["captions"], row["caption"])
            if text == row["text"] != plain and not stale:
                return
            if text != row["text"]:
                stale[row["id"]] = text
    if stale:
        changed = pa.table({"id": pa.array(stale.keys(), pa.int64()), "text": pa.array(stale.values())})
        with changing(store.folder):
            table.merge_insert("id").when_matched_update_all().execute(changed)
            table.create_index("text", config=CAPTION_INDEX, replace=True)
        many = counted(len(stale), "image")
        logger.info(
            "%s: captions of %s in scripts without spaces can now be searched by word", store.folder, many
        )
