"""Full-text search over captions, apart from any library: what the engine `captions` ranks by."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import lancedb
import numpy as np
from lancedb.index import FTS
from lancedb.query import MatchQuery

CAPTION_INDEX = FTS(with_position=False, stem=True, remove_stop_words=False)
"""Words count by their stems and by how rare they are (BM25); their order does not."""


def words(query: str) -> MatchQuery:
    """A query for any of its words; as a bare string, one in quotation marks would ask for a phrase."""
    query = query.encode(errors="replace").decode()  # bytes of the command line may be no UTF-8
    return MatchQuery(query, "text")  # type: ignore[call-arg]  # mypy does not see its defaults


def index_error(table: Any) -> Exception | None:
    """What a table's full-text index says to a first query, where it cannot answer it."""
    try:
        table.search(words("a"), query_type="fts").select(["id", "_score"]).limit(1).to_list()
    except Exception as error:  # what a damaged index raises is not documented
        return error
    return None


def caption_scores(captions: Sequence[str], queries: Sequence[str]) -> Iterator[np.ndarray]:
    """How well each caption answers each query, `float64 [N]` a query; 0 where no word is shared."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [{"id": place, "text": text} for place, text in enumerate(captions)]
        table = lancedb.connect(folder).create_table("captions", rows)
        table.create_index("text", config=CAPTION_INDEX)
        for query in queries:
            scores = np.zeros(len(captions))
            found = table.search(words(query), query_type="fts").select(["id", "_score"])
            for hit in found.limit(len(captions)).to_list():
                scores[hit["id"]] = hit["_score"]
            yield scores
