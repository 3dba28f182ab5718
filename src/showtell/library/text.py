"""Full-text search of captions, in a library's table or on its own."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Any

import lancedb
import numpy as np
from lancedb.index import FTS
from lancedb.query import MatchQuery

from showtell.data.tokenizers.scripts import spaced

CAPTION_INDEX = FTS(with_position=False, stem=True, remove_stop_words=False)
"""BM25 over stemmed words; their order does not count. The text is `spaced`."""


def words(query: str) -> MatchQuery:
    """A query for any of the words; a plain string in quotation marks would mean a phrase."""
    query = query.encode(errors="replace").decode()  # arguments of a command line may not be UTF-8
    return MatchQuery(spaced(query), "text")  # type: ignore[call-arg]  # mypy does not see the defaults


def index_error(table: Any) -> Exception | None:
    """The error of a table's full-text index in a first query; None if it works."""
    try:
        table.search(words("a"), query_type="fts").select(["id", "_score"]).limit(1).to_list()
    except Exception as error:  # what a damaged index raises is undocumented
        return error
    return None


class CaptionIndex:
    """A full-text index of captions alone, in a temporary folder."""

    def __init__(self, captions: Sequence[str]) -> None:
        self._count, self._folder = len(captions), tempfile.TemporaryDirectory(prefix="showtell-")
        rows = [{"id": row, "text": spaced(text)} for row, text in enumerate(captions)]
        self._table = lancedb.connect(self._folder.name).create_table("captions", rows)
        self._table.create_index("text", config=CAPTION_INDEX)

    def scores(self, query: str) -> np.ndarray:
        """BM25 of each caption, `float64 [N]`; 0 where no word is shared."""
        scores = np.zeros(self._count)
        found = self._table.search(words(query), query_type="fts").select(["id", "_score"])
        for hit in found.limit(self._count).to_list():
            scores[hit["id"]] = hit["_score"]
        return scores
