"""Recognise how a data set is written, and read it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from showtell.data.captions import coco, flickr8k, folder, imagefolder, karpathy, table
from showtell.data.captions.entry import Problem, Source
from showtell.errors import UsageError, UserError

_MODULES = (karpathy, coco, flickr8k, imagefolder, table, folder)  # the first that finds its files reads them
FORMATS = {module.__name__.rpartition(".")[2]: module.LOOKED_FOR for module in _MODULES}
"""The formats by name, and what each looks like."""


def read(path: Path | str, format: str | None = None) -> Source:
    """Read images and captions from a folder or a caption file; the format is recognised, or named.

    Paths come out absolute. A bad row is a problem in the source, never an exception. Raises
    `UserError` when nothing usable is found, `UsageError` for an unknown format.

    Example::

        source = read("flickr8k")
        source.format, len(source.entries)  # "karpathy", 7000
    """
    path = Path(path).absolute()
    if format is not None and format not in FORMATS:
        raise UsageError(f"no data format is called {format!r}; there are {', '.join(FORMATS)}")
    if not path.exists():
        raise UserError(f"{path} does not exist; name a folder of images or a file of captions")
    problems: list[Problem] = []
    try:
        for name, module in zip(FORMATS, _MODULES, strict=True):
            files = module.files(path) if format in (None, name) else []
            source = module.read(path, files) if files else None
            if source is not None and source.entries:
                return replace(source, problems=[*dict.fromkeys(problems + source.problems)])
            problems += source.problems if source else []
    except OSError as error:
        raise UserError(f"{error.filename or path} cannot be read: {error.strerror}") from None
    raise UserError(_nothing(path, format, problems))


def _nothing(path: Path, format: str | None, problems: list[Problem]) -> str:
    """Why no image was found: the first problems if there are any, then what was looked for."""
    known = {name: looked for name, looked in FORMATS.items() if format in (None, name)}
    lines = [f"{path} has no images with captions, and no images"]
    lines += [f"  {problem}" for problem in problems[:5]]
    if len(problems) > 5:
        lines.append(f"  and {len(problems) - 5} problems more")
    return "\n".join(
        [*lines, "It was looked for:", *(f"  {name}: {looked}" for name, looked in known.items())]
    )
