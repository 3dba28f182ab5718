"""One's own plain texts, and what was recognised said on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from showtell.data.texts.files import documents, layout_of, text_files
from showtell.errors import UserError


def read_documents(*paths: Path) -> Iterator[str]:
    """The documents of files and folders of texts, one after another.

    Raises `UserError` for what cannot be read, with file and line, and where there is no text at all.
    """
    total = 0
    for file in [file for path in paths for file in text_files(path)]:
        layout, count = layout_of(file), 0
        for count, document in enumerate(documents(file, layout), 1):
            yield document
        print(f"{file}: {layout}, {count}", file=sys.stderr)
        total += count
    if not total:
        raise UserError(f"{', '.join(map(str, paths))}: no text is in there")
