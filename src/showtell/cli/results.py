"""Images and words that were found, as the verbs print them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os.path import exists
from typing import TYPE_CHECKING, Any

from showtell.cli.output import print_error, print_json, print_table, print_text
from showtell.wording import counted, index_command, one_line

if TYPE_CHECKING:
    from pathlib import Path

    from showtell.library.hit import Hit
    from showtell.tasks.words import WordScore


def print_hits(
    query: str,
    hits: Sequence[Hit],
    library: Path,
    json: bool,
    chance: float | None = None,
    engine: str | None = None,
) -> None:
    """One JSON object per hit, with its tags and familiarity where they are stored, or a table.

    With `chance`, each object says whether it scores more; with `engine`, whose score it is.

    Images that are no longer where they were indexed are counted on standard error.
    """
    # Path.exists raises for a folder that may not be read.
    if gone := [hit.path for hit in hits if not exists(hit.path)]:  # noqa: PTH110
        images = f"{counted(len(gone), 'image')} of these {'is' if len(gone) == 1 else 'are'}"
        print_error(
            f"{images} no longer there or out of reach, the first: "
            f"{one_line(gone[0])}; bring the library up to date with: {index_command(library)}"
        )
    if json:
        for rank, hit in enumerate(hits, 1):
            known: dict[str, Any] = {"engine": engine} if engine else {}
            if chance is not None:
                known["above_chance"] = hit.proposed > chance
            if seen := hit.sight:
                known |= {"tags": seen.tags, "familiar": seen.familiar, "familiarity": seen.familiarity}
            print_json({"query": query, "rank": rank, "path": str(hit.path), "score": hit.score, **known})
    elif not hits:
        print_text(f"{one_line(query)}: nothing found")
    else:
        print_text(one_line(query))
        rows = [(rank, hit.score, hit.path) for rank, hit in enumerate(hits, 1)]
        print_table(["rank", "score", "path"], rows)


def print_words(found: Iterable[WordScore], json: bool) -> None:
    """One JSON object per word, or a table."""
    if json:
        for near in found:
            print_json(near)
    else:
        print_table(["word", "score"], [(near.word, near.score) for near in found])
