"""Read examples of questions about texts and images, whatever format they are in.

A format is a module of `formats/`, found by being there. It offers

    LOOKED_FOR                                     what its files look like
    fits(file) -> bool                             whether a file is of this format, by its name and beginning
    read(file, problems) -> Iterator[Example | None]    the examples; None for one without an answer
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from showtell.data.captions.entry import Problem
from showtell.data.qa import formats
from showtell.data.qa.examples import Example, Source
from showtell.data.splits import split_of_file
from showtell.errors import UsageError, UserError
from showtell.wording import listed


class Format(Protocol):
    """One way to write examples: a module of `formats/`."""

    LOOKED_FOR: str

    def fits(self, file: Path) -> bool:
        """Whether a file is of this format."""
        ...

    def read(self, file: Path, problems: list[Problem]) -> Iterator[Example | None]:
        """The examples of a file; what is wrong is added to `problems` and skipped."""
        ...


@cache
def known_formats() -> Mapping[str, Format]:
    """The formats by name."""
    names = [module.name for module in pkgutil.iter_modules(formats.__path__)]
    return {name: cast(Format, import_module(f"{formats.__name__}.{name}")) for name in names}


def found_format(path: Path, format: str | None = None) -> tuple[str, list[Path]] | None:
    """The format of a file, of a folder's files, or of those whose names begin so; None for no known one.

    Raises `UserError` for files of several formats, `UsageError` for an unknown format.
    """
    known = known_formats()
    if format is not None and format not in known:
        raise UsageError(f"there is no format {format!r} of examples, only {', '.join(known)}")
    files = _files(path)
    fitting = {
        name: some
        for name, one in known.items()
        if format in (None, name) and (some := [file for file in files if one.fits(file)])
    }
    if len(fitting) > 1:
        told = "; ".join(
            f"{name}: {listed([file.name for file in some], 3)}" for name, some in fitting.items()
        )
        raise UserError(f"{path} holds several formats ({told}); name files of one, or --format")
    return next(iter(fitting.items()), None)


def read_examples(path: Path, format: str | None = None) -> Source:
    """The examples of a file, a folder, or the files whose names begin as `path`, such as `tags/ewt_pos`.

    The name of a file, or of its folder, says its split. A bad row becomes a problem of the source, never an
    exception. Raises `UserError` where nothing usable is found, or two files are the same split.
    """
    found = found_format(path, format)
    if found is None:
        looked = "\n".join(f"  {name}: {one.LOOKED_FOR}" for name, one in known_formats().items())
        raise UserError(f"{path} holds no examples of questions about texts or images. Looked for:\n{looked}")
    name, files = found
    by_split: dict[str | None, Path] = {}
    for file in files:
        split = split_of_file(file, path if path.is_dir() else file.parent)
        if other := by_split.get(split):
            said = f"both the split {split}" if split else "of no split by their names"
            raise UserError(
                f"{other.name} and {file.name} are {said}: name one data set by how its files begin, "
                f"such as {file.with_name(_begins(file))}, or rename one"
            )
        by_split[split] = file
    problems: list[Problem] = []
    splits: dict[str | None, list[Example]] = {}
    unlabelled = 0
    for split, file in by_split.items():
        read = list(known_formats()[name].read(file, problems))
        for example in read:
            if example is None:
                unlabelled += 1
            else:
                splits.setdefault(getattr(example, "split", None) or split, []).append(example)
    if not any(splits.values()):
        reasons = "".join(f"\n  {problem}" for problem in problems[:5])
        raise UserError(f"{path} holds no usable example in the format {name}{reasons}")
    return Source(name, splits, problems, unlabelled, tuple(by_split.values()))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    found = sorted(file for file in path.parent.glob(f"{path.name}*") if file.is_file())
    if not found:
        raise UserError(f"{path} does not exist, and no file's name begins so")
    return found


def _begins(file: Path) -> str:
    """How the name of a file begins, as far as the word of its split."""
    stem = file.name.partition(".")[0]
    return stem.rsplit("_", 1)[0] if "_" in stem else stem
