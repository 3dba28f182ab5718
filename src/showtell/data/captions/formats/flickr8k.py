"""Flickr8k: `captions.txt`, or `Flickr8k.token.txt` with lists of the splits."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from showtell.data.captions.entry import Problem, Source
from showtell.data.captions.gather import Gather
from showtell.data.captions.locate import Locator
from showtell.data.captions.records import read_text
from showtell.data.captions.tables import gather_tables, is_table
from showtell.data.splits import split_name, split_of_file

SPECIFICITY = 40
LOOKED_FOR = "captions.txt (image,caption) or *.token.txt (name.jpg#0, a tab, the caption)"
_SPLIT_LIST = re.compile(r"^Flickr_?\d+k\.(train|dev|val|test)Images\.txt$", re.IGNORECASE)


def files(path: Path) -> list[Path]:
    """The caption file itself, or those of a folder or else of its subfolders."""
    if path.is_file():
        found = [path]
    else:
        found = [file for name in ("captions.txt", "*.token*.txt") for file in path.glob(name)] or [
            file for name in ("captions.txt", "*.token*.txt") for file in path.glob(f"*/{name}")
        ]
    return sorted(
        file for file in found if _is_token_file(file) or (file.suffix == ".txt" and is_table(file))
    )


def read(root: Path, files: list[Path]) -> Source:
    """Every caption; lists beside the first file assign images to splits."""
    gather = gather_tables(
        [file for file in files if not _is_token_file(file)], lambda file: split_of_file(file, root)
    )
    for file in filter(_is_token_file, files):
        _gather_tokens(file, gather)
    return _with_splits(gather.source("flickr8k"), files[0].parent)


def _is_token_file(file: Path) -> bool:
    return re.search(r"\.token\b.*\.txt$", file.name) is not None


def _gather_tokens(file: Path, gather: Gather) -> None:
    """Lines such as `1000268201_693b08cb0e.jpg#0<TAB>A child in a pink dress`."""
    locate = Locator(file)
    for line, text in enumerate(read_text(file, gather.problems).split("\n"), 1):
        name, tab, caption = text.partition("\t")
        if tab:
            gather.add_named(file, line, locate, re.sub(r"#\d+$", "", name), [caption], None)
        elif text.strip():
            fix = "write the image's name, #, a number, a tab and the caption"
            gather.problem(file, line, "has no tab between the image and the caption", fix, unread=True)


def _with_splits(source: Source, folder: Path) -> Source:
    """Assign each image to the split whose list names it; an image in no list is `unused`."""
    split_of: dict[str, str] = {}
    known = {entry.path.name for entry in source.entries}
    for file in sorted(folder.iterdir()):
        match = _SPLIT_LIST.match(file.name)
        for line, text in enumerate(read_text(file, source.problems).split("\n") if match else (), 1):
            name, split = text.strip(), split_name(match[1]) if match else None
            if name and split_of.setdefault(name, split or "") != split:
                fix = f"keep it in one; {split_of[name]!r} is used"
                source.problems.append(
                    Problem(file, line, f"{name!r} is in another split's list too", fix, two_splits=True)
                )
            elif name and name not in known:
                fix = "add its captions, or delete the line"
                source.problems.append(Problem(file, line, f"{name!r} has no image or no caption", fix))
    if not split_of:
        return source
    entries = [replace(entry, split=split_of.get(entry.path.name, "unused")) for entry in source.entries]
    lists = {file for file in folder.iterdir() if _SPLIT_LIST.match(file.name)}
    return replace(source, entries=entries, files=source.files | lists)
