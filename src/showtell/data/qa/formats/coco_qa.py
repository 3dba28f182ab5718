"""COCO-QA: three files of lines side by side. Source: Ren, Kiros and Zemel 2015."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from showtell.data.captions.entry import Problem
from showtell.data.qa.examples import ImageQuestion
from showtell.data.qa.images import ImageRows, coco_names
from showtell.data.qa.rows import text_lines
from showtell.wording import counted

LOOKED_FOR = "COCO-QA's questions.txt, answers.txt and img_ids.txt, one line each per question"
ANSWERS, IMAGES = "answers.txt", "img_ids.txt"
SUBSETS = ("train2014", "val2014", "test2015")


def fits(file: Path) -> bool:
    """Whether a file is the questions, the other two beside it."""
    return file.name == "questions.txt" and all((file.parent / name).is_file() for name in (ANSWERS, IMAGES))


def read(file: Path, problems: list[Problem]) -> Iterator[ImageQuestion]:
    """The questions of a folder. Lines without a partner are a problem, and not read."""
    columns = [list(text_lines(one, problems)) for one in (file, file.parent / ANSWERS, file.parent / IMAGES)]
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1:
        what = f"has {counted(lengths[0], 'line')}, {ANSWERS} {lengths[1]}, {IMAGES} {lengths[2]}"
        problems.append(Problem(file, None, what, "copy all three again; the shortest decides", unread=True))
    rows = ImageRows(file, problems)
    for (line, question), (_, answer), (_, image) in zip(*columns, strict=False):
        number = image.strip()
        names = (
            [name for subset in SUBSETS for name in coco_names(int(number), subset)]
            if number.isdigit()
            else []
        )
        given = [answer.strip()] if answer.strip() else []
        found = rows.example(line, "", [number], question, given, spellings=[names])
        if found is not None:
            yield found
