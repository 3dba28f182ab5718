"""Tagged tokens: one per line with its tag in the last column, a blank line after each sentence.

Source: Tjong Kim Sang and De Meulder 2003 (CoNLL 2003).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from showtell.data.captions.entry import Problem
from showtell.data.qa.examples import Tagged
from showtell.data.qa.rows import text_lines
from showtell.wording import counted

LOOKED_FOR = ".conll, .bio or .iob: a token, a tab or spaces, its tag; a blank line between sentences"
ENDINGS = (".conll", ".bio", ".iob")
_DOCUMENT = "-DOCSTART-"


def fits(file: Path) -> bool:
    """Whether a file is called so."""
    return file.name.lower().removesuffix(".xz").removesuffix(".gz").endswith(ENDINGS)


def read(file: Path, problems: list[Problem]) -> Iterator[Tagged]:
    """The sentences of a file. One with a line that cannot be read is a problem, and skipped whole."""
    tokens: list[str] = []
    tags: list[str] = []
    columns, broken = 0, False
    for line, text in [*text_lines(file, problems), (0, "")]:
        if not text.strip() or text.startswith(_DOCUMENT):
            if tokens and not broken:
                yield Tagged(tuple(tokens), tuple(tags))
            tokens, tags, broken = [], [], False
        elif text.startswith("# ") and "\t" not in text:  # a comment between sentences
            continue
        else:
            cells = text.split("\t") if "\t" in text else text.split()
            columns = columns or len(cells)
            if len(cells) < 2 or len(cells) != columns or not cells[0].strip() or not cells[-1].strip():
                few = counted(len(cells), "column")
                what = f"has {few}, not {max(columns, 2)}" if len(cells) != columns else "is cut"
                fix = "write a token, a tab and its tag; its sentence is skipped"
                problems.append(Problem(file, line, what, fix))
                broken = True
                continue
            tokens.append(cells[0].strip())
            tags.append(cells[-1].strip())
