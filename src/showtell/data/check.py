"""Validation of a data set before a long run: every problem, and how to fix it."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from errno import EACCES
from pathlib import Path

from showtell.data.captions.entry import Entry, Problem, Source
from showtell.data.captions.read import read_captions
from showtell.data.images.decode import ImageError, decode_image
from showtell.data.images.files import is_image_name, read_content, survey
from showtell.data.prefetch import prefetch
from showtell.progress import report
from showtell.wording import counted

_NAMES = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|(?<!\w)/[^,;()]*|\d[\d,]*|(?<=row: ).*""")
"""What differs between equal faults: quoted names, paths, numbers, names of images without a row."""


@dataclass(frozen=True)
class CheckReport:
    """The contents and the problems of a data set."""

    path: Path
    format: str
    images: int
    captions: int
    captions_per_image: dict[int, int]
    """Number of images by number of captions."""
    splits: dict[str | None, int]
    """Number of images by split; None for images without one."""
    problems: list[Problem]
    unused: list[Problem]
    """Caption files that lie in the folder and are not read, each with the reason."""
    passed_over: dict[str, int]
    """How many hidden or system folders and files were passed over, by name."""
    entries: list[Entry]
    """The images with their captions."""


def alike(problems: Iterable[Problem]) -> list[list[Problem]]:
    """Problems grouped by what is wrong, whatever names and numbers they have, in order of appearance.

    >>> from pathlib import Path
    >>> [len(group) for group in alike(Problem(Path("a"), n, f"row {n} is cut", "mark") for n in range(3))]
    [3]
    """
    groups: dict[tuple[str, str], list[Problem]] = defaultdict(list)
    for problem in problems:
        groups[_pattern(problem.what), _pattern(problem.fix)].append(problem)
    return list(groups.values())


def _pattern(text: str) -> str:
    """A message without quoted names, paths, numbers and lists of them."""
    return re.sub(r"…(, …)+", "…", _NAMES.sub("…", text))


def check_data(path: Path | str, format: str | None = None) -> CheckReport:
    """Read every row and decode every image of a data set.

    Raises `UserError` as `read_captions`: when there is nothing to check.

    Example::

        for problem in check_data("photos").problems:
            print(problem)
    """
    return check_source(path, read_captions(path, format))


def check_source(path: Path | str, source: Source) -> CheckReport:
    """As `check_data`, of a data set whose rows are read already."""
    # A folder that cannot be listed is among what was found, so that it is named.
    entries = [entry for entry in source.entries if not entry.path.is_dir()]
    counts = Counter(len(entry.captions) for entry in entries)
    unread = [*source.unused, *(one for one in source.problems if one.unread)]
    problems = [*source.problems, *_without_captions(Path(path), entries, unread), *_unlisted(entries)]
    by_content: dict[bytes, list[Entry]] = defaultdict(list)
    for done, (entry, outcome) in enumerate(prefetch(_decode, source.entries), 1):
        if isinstance(outcome, ImageError):
            problems.append(unreadable(outcome, entry.path, "delete it and its captions"))
        else:
            by_content[outcome].append(entry)
        report("checking images", done, len(source.entries))
    problems += copies(by_content.values())
    passed_over = survey(path).passed_over if Path(path).is_dir() else Counter[str]()
    return CheckReport(
        path=Path(path),
        format=source.format,
        images=len(entries),
        captions=sum(len(entry.captions) for entry in entries),
        captions_per_image=dict(sorted(counts.items())),
        splits=dict(Counter(entry.split for entry in entries).most_common()),
        problems=problems,
        unused=source.unused,
        passed_over=dict(passed_over.most_common()),
        entries=entries,
    )


def unreadable_images(paths: Collection[Path], what: str) -> list[Problem]:
    """Those of some images that cannot be decoded; `what` is about them, such as `questions`."""
    problems = []
    for done, (entry, outcome) in enumerate(prefetch(_decode, [Entry(path) for path in paths]), 1):
        if isinstance(outcome, ImageError):
            problems.append(unreadable(outcome, entry.path, f"delete it and its {what}"))
        report("checking images", done, len(paths))
    return problems


def unreadable(error: ImageError, path: Path, delete: str) -> Problem:
    """An image that cannot be read, with one way out: the one that its error names, or to replace it.

    >>> cut = ImageError("a.jpg", "is cut short: the end of the file is missing")
    >>> print(unreadable(cut, cut.path, "delete it"))
    a.jpg: is cut short: the end of the file is missing; replace the file, or delete it
    """
    what, _, fix = error.reason.partition("; ")
    closed = os.strerror(EACCES) in what
    return Problem(
        path, None, what, fix or ("allow reading it" if closed else f"replace the file, or {delete}")
    )


def _decode(entry: Entry) -> tuple[Entry, bytes | ImageError]:
    """The digest of an image's bytes, or the error of decoding it."""
    try:
        data, digest = read_content(entry.path)
        decode_image(
            data, entry.path, at_least=1
        )  # decoding an eighth of a JPEG also shows whether it is whole
    except ImageError as error:
        return entry, error
    return entry, digest


def _without_captions(root: Path, entries: list[Entry], unread: list[Problem]) -> list[Problem]:
    """Images without captions where others have some; a single problem where none has.

    Its fix is that of the first `unread` row of a caption file, if there is one.
    """
    bare = [entry.path for entry in entries if not entry.captions]
    if bare and len(bare) == len(entries):
        fix = "write them to captions.txt (image,caption) to train a captioner; an index needs none"
        if read := next((one for one in unread if one.line is not None), None):
            fix = f"{read.file.name} gives none: {read.what}; {read.fix}"
        return [Problem(root, None, "no image has a caption", fix)]
    return [Problem(file, None, "has no caption", "write one or delete the image") for file in bare]


def _unlisted(entries: list[Entry]) -> list[Problem]:
    """Images beside the listed ones that no row names, one problem per folder."""
    listed = {entry.path for entry in entries}
    problems = []
    for folder in sorted({path.parent for path in listed}):
        try:
            images = [path for path in folder.iterdir() if is_image_name(path.name) and path not in listed]
        except OSError as error:
            what = f"cannot be listed: {error.strerror or error}"
            problems.append(Problem(folder, None, what, "make it readable"))
            continue
        missed = sorted(path.name for path in images if not path.is_dir())
        if missed:
            names = ", ".join(missed[:3]) + ", ..." * (len(missed) > 3)
            what = f"{counted(len(missed), 'image')} without a row: {names}"
            problems.append(Problem(folder, None, what, "caption them, or they stay unused"))
    return problems


def copies(groups: Iterable[list[Entry]]) -> list[Problem]:
    """Duplicate images: in two splits they leak, in one they count twice."""
    problems = []
    for first, *others in groups:
        for entry in others:
            what = f"is the same image as {first.path}"
            fix = "delete one of them"
            if entry.split != first.split:
                what += f", and leaks from the split {first.split!r} to {entry.split!r}"
                fix = "delete the one in train: test images must not be trained on"
            problems.append(Problem(entry.path, None, what, fix))
    return problems
