"""The images that rows of questions name: found, or said to be missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from showtell.data.captions.entry import Problem
from showtell.data.captions.locate import Locator
from showtell.data.qa.answers import soft_scores
from showtell.data.qa.examples import ImageQuestion

MAX_IMAGES = 2
"""That one text may be about."""


@dataclass
class ImageRows:
    """The rows of one file, each turned into an example, or into a problem that names it."""

    file: Path
    problems: list[Problem]
    _locate: Locator = field(init=False)

    def __post_init__(self) -> None:
        self._locate = Locator(self.file)

    def find(self, name: str) -> Path | None:
        """The image of a name, or None."""
        return self._locate(name)

    def example(
        self,
        line: int | None,
        where: str,
        names: Sequence[Any],
        text: Any,
        answers: Sequence[Any],
        split: str | None = None,
        what: str = "question",
        spellings: Sequence[Sequence[str]] | None = None,
    ) -> ImageQuestion | None:
        """The example of a row, or None after recording what is wrong with it.

        `where` is what messages call the row in a file without lines. `spellings` are other names of each
        image. Of several answers, each was given by one person.
        """

        given = [str(answer).strip() for answer in answers if isinstance(answer, str | int | float)]
        if not isinstance(text, str) or not text.strip():
            fault = f"has no {what}", "write it, or delete the row"
        elif not names or any(not isinstance(name, str | int) or name == "" for name in names):
            fault = "names no image", "write the name of its file, or delete the row"
        elif len(names) > MAX_IMAGES:
            fault = f"names {len(names)} images", f"name one, or {MAX_IMAGES}"
        elif not given or len(given) < len(answers) or not all(given):
            fault = "has no answer", "write it, or delete the row"
        else:
            tried = [
                [str(name), *more] for name, more in zip(names, spellings or [()] * len(names), strict=True)
            ]
            found = [next(filter(None, map(self.find, some)), None) for some in tried]
            if all(found):
                paths = tuple(path for path in found if path)
                return ImageQuestion(paths, " ".join(text.split()), soft_scores(given), split)
            missing = tried[found.index(None)][-1]
            fault = f"names the image {missing!r}, which is missing", "put it there, or delete the row"
        self.problems.append(Problem(self.file, line, f"{where} {fault[0]}".strip(), fault[1]))
        return None


def coco_names(number: Any, subset: str = "") -> list[str]:
    """What the files of COCO's image of a number are called, without their ending, the surest last.

    >>> coco_names(9, "train2014")
    ['9', '000000000009', 'COCO_train2014_000000000009']
    """
    if not isinstance(number, int) or isinstance(number, bool):
        return [str(number)]
    years = [subset] if subset else []
    return [str(number), f"{number:012d}", *(f"COCO_{year}_{number:012d}" for year in years)]
