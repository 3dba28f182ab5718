"""Read a data set of images and captions, whatever format it is in.

A format is a module of `formats/`, found by being there. It offers

    LOOKED_FOR                     what its files look like, for a person whose data is not recognised
    SPECIFICITY                    of two formats that fit, the more specific one is read
    files(path) -> [Path]          the files of this format at a path, none if it is in another
    read(root, files) -> Source    the images and captions that they hold
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from showtell.data.captions import formats
from showtell.data.captions.entry import Problem, Source
from showtell.data.captions.place import with_folder_splits
from showtell.data.captions.unused import with_unused
from showtell.errors import UsageError, UserError


class Format(Protocol):
    """One way to write images and captions: a module of `formats/`."""

    LOOKED_FOR: str
    SPECIFICITY: int

    def files(self, path: Path) -> list[Path]:
        """The files of this format at a path."""
        ...

    def read(self, root: Path, files: list[Path]) -> Source:
        """The images and captions in those files."""
        ...


@cache
def known_formats() -> Mapping[str, Format]:
    """The formats by name, the most specific first."""
    names = [module.name for module in pkgutil.iter_modules(formats.__path__)]
    found = {name: cast(Format, import_module(f"{formats.__name__}.{name}")) for name in names}
    return dict(sorted(found.items(), key=lambda item: -item[1].SPECIFICITY))


def read_captions(path: Path | str, format: str | None = None) -> Source:
    """Images and captions of a folder or a caption file; the format is recognised unless it is named.

    Paths come out absolute. A bad row becomes a problem of the source, never an exception. Raises
    `UserError` when nothing usable is found, `UsageError` for an unknown format.

    Example::

        source = read_captions("flickr8k")
        source.format, len(source.entries)  # "karpathy", 7000
    """
    path = Path(path).absolute()
    known = known_formats()
    if format is not None and format not in known:
        raise UsageError(f"there is no data format {format!r}, only {', '.join(known)}")
    if not path.exists():
        raise UserError(f"{path} does not exist; name a folder of images or a file of captions")
    tried = known if format is None else {format: known[format]}
    problems: list[Problem] = []
    try:
        for candidate in tried.values():
            files = candidate.files(path)
            source = candidate.read(path, files) if files else None
            if source is not None and source.entries:
                source = with_folder_splits(source, path)
                source = replace(source, problems=[*dict.fromkeys(problems + source.problems)])
                return with_unused(source, path, _attempt) if path.is_dir() else source
            problems += source.problems if source else []
    except OSError as error:
        raise UserError(f"{error.filename or path} cannot be read: {error.strerror}") from None
    raise UserError(_nothing(path, tried, problems))


def _attempt(file: Path) -> Source | None:
    """What a file holds when it is named alone, maybe nothing but problems; None if no format fits."""
    failed: Source | None = None
    for name, candidate in known_formats().items():
        files = candidate.files(file)
        source = candidate.read(file, files) if files else None
        if source is not None and source.entries:
            return replace(source, format=name)
        failed = failed or source
    return failed


def _nothing(path: Path, tried: Mapping[str, Format], problems: list[Problem]) -> str:
    """Why no image was found: the first problems if there are any, then what was looked for."""
    lines = [f"{path} holds no images, with or without captions"]
    lines += [f"  {problem}" for problem in problems[:5]]
    if len(problems) > 5:
        lines.append(f"  and {len(problems) - 5} more problems")
    return "\n".join([*lines, "Looked for:", *(f"  {name}: {tried[name].LOOKED_FOR}" for name in tried)])
