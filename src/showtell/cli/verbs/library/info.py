"""`showtell library info`."""

from __future__ import annotations

from showtell.cli.options import DEFAULT_LIBRARY, Json, Library
from showtell.cli.output import print_json, print_table, print_text

PANEL = "Images"


def info(library: Library = DEFAULT_LIBRARY, json: Json = False) -> None:
    """Show which models' vectors a library holds, how many images, and how much space they take."""
    from showtell.library.info import library_info

    facts = library_info(library)
    if json:
        return print_json(facts)
    print_text(
        f"{facts.library}: format {facts.format}, {facts.bytes / 1e6:.1f} MB, newest {facts.newest}, "
        f"{facts.skipped} skipped"
    )
    names = [
        "model",
        "images",
        "captioned",
        "width",
        "tokens",
        "preprocessing",
        "MB",
        "indexed",
        "up to date",
    ]
    rows = [
        (
            *(s.model, s.images, "yes" if s.captioned else "no", s.width, s.tokens, s.preprocessing),
            *(s.bytes / 1e6, s.indexed, "yes" if s.up_to_date else "no"),
        )
        for s in facts.sets
    ]
    return print_table(names, rows)
