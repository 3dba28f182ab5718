"""Tables with a header, one row per caption, whatever their columns are called."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from showtell.data.captions.entry import Problem
from showtell.data.captions.gather import Gather
from showtell.data.captions.locate import Locator
from showtell.data.captions.records import header, records
from showtell.data.splits import split_name

IMAGE = (
    "file_name filename image image_name image_path image_file img file filepath path picture photo "
    "图片 图像 文件名 file_path image_filename image_file_name img_path img_name image_id key"
)
CAPTION = "caption captions text sentence sentences description comment raw 描述 标题 文字 说明"
LESS_SURE = "title alt_text alt caption_text prompt"
"""What captions are called where no column has a surer name."""
SPLIT = "split set subset partition"


def is_table(file: Path) -> bool:
    """Whether the columns of a file name an image and a caption; True too if it cannot be parsed."""
    try:
        names = header(file)
    except OSError:
        names = None
    if names is None:
        return True  # reading it reports why
    image, captions, _ = _columns(names)
    return image is not None and bool(captions)


def caption_values(record: Mapping[str, Any]) -> list[Any]:
    """The captions that the first filled caption column of a row holds."""
    for alias in (*CAPTION.split(), *LESS_SURE.split()):
        for name, value in record.items():
            if value and _plain(name) == alias:
                return value if isinstance(value, list) else [value]
    return []


def gather_tables(
    files: Iterable[Path], split_of: Callable[[Path], str | None], *, nearby: bool = True
) -> Gather:
    """The rows of tables; `split_of` gives the split of rows that name none."""
    gather = Gather()
    for file in files:
        locate = Locator(file, nearby=nearby)
        told: set[tuple[str, ...]] = set()
        for line, record in records(file, gather.problems):
            image, captions, split = _columns(record)
            if not (image and captions) and tuple(record) not in told:
                told.add(tuple(record))
                what = "image" if image is None else "caption"
                fix = f"rename the one that does to {(IMAGE if image is None else CAPTION).split()[0]!r}"
                what = f"no column of {', '.join(map(repr, record))} holds the {what}"
                gather.problem(file, line, what, fix, unread=True)
            if image is None:
                continue
            values = [record[column] for column in captions]
            texts = [text for value in values for text in (value if isinstance(value, list) else [value])]
            named, of_file = split and record[split], split_of(file)
            gather.add_named(file, line, locate, record[image], texts, named or of_file)
            known = split_name(str(named or ""))
            if known and of_file and known != of_file:
                what = f"the column {split!r} says {known!r}, the file's name or folder {of_file!r}"
                fix = "correct one of them"
                gather.problems.append(Problem(file, line, what, fix, two_splits=True))
    return gather


def _columns(names: Iterable[str]) -> tuple[str | None, list[str], str | None]:
    """The columns of the image, the captions (also `caption_1`, `caption_2`) and the split."""
    plain = {name: _plain(name) for name in names}

    def holding(aliases: str) -> list[str]:
        ranked = aliases.split()
        found = [name for name in plain if plain[name] in ranked]
        return sorted(found, key=lambda name: ranked.index(plain[name]))

    numbered = [name for name in plain if re.sub(r"_?\d+$", "", plain[name]) in CAPTION.split()]
    images, splits = holding(IMAGE), holding(SPLIT)
    captions = (
        numbered if len(numbered) > 1 and not holding(CAPTION) else holding(f"{CAPTION} {LESS_SURE}")[:1]
    )
    return next(iter(images), None), captions, next(iter(splits), None)


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().lower())
