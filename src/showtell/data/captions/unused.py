"""Caption files that lie in a folder of images and were not read, each with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from showtell.data.captions.candidates import in_subfolders, is_named_so, is_sidecar, sidecar_bases
from showtell.data.captions.entry import Problem, Source
from showtell.wording import counted

TABLES = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
_SHEETS = {
    **dict.fromkeys((".xlsx", ".xls", ".ods", ".numbers"), "is a spreadsheet, which is not read"),
    **dict.fromkeys((".arrow", ".feather"), "is an Arrow file, which is not read"),
}
_OTHERS = {
    **dict.fromkeys((".gz", ".xz", ".bz2", ".zst", ".zip", ".7z", ".rar", ".tar"), "is compressed or packed"),
    **dict.fromkeys((".xml", ".yaml", ".yml", ".pkl", ".pickle", ".mat", ".npy", ".db"), "is not a table"),
}
"""Of these, only files whose name says that they hold captions."""
_BOXES = ("instances_", "person_keypoints_", "panoptic_", "stuff_", "image_info_")
"""How COCO's files without captions begin."""
LARGEST = 1 << 26
"""Bytes. A larger file is not read only to say what is in it."""


def with_unused(source: Source, root: Path, attempt: Callable[[Path], Source | None]) -> Source:
    """The source at a folder, and the caption files there that gave nothing to it, each with the reason.

    A file that cannot be parsed is a problem. `attempt` reads one file as if it were named alone; None if no
    format fits.
    """
    told = {problem.file for problem in [*source.problems, *source.unused]} | source.files
    for file, beside_its_image in _candidates(root):
        if file in told:
            continue
        if beside_its_image:
            what = f"stands beside its image, but the format {source.format} was read"
            source.unused.append(Problem(file, None, what, "read these with --format folder"))
            continue
        problem = _reason(file, source.format, attempt)
        (source.problems if problem.unread else source.unused).append(problem)
    return source


def _candidates(root: Path) -> Iterator[tuple[Path, bool]]:
    """What may hold captions, here and one folder down, and whether it belongs to the image of its name."""
    bases = sidecar_bases(root)
    for file in sorted(root.iterdir()):
        if file.name.startswith(".") or not file.is_file():
            continue
        ending, named = file.suffix.lower(), is_named_so(Path(file.name))
        if is_sidecar(file, bases):
            yield file, True
        elif ending in TABLES or ending in _SHEETS or (named and (ending in _OTHERS or ending == ".txt")):
            yield file, False
    for file in in_subfolders(root, {*TABLES, ".txt"}):
        yield file, False


def _reason(file: Path, used: str, attempt: Callable[[Path], Source | None]) -> Problem:
    """Why a file was not read; `unread` if it is broken."""
    ending, size = file.suffix.lower(), file.stat().st_size
    if what := {**_SHEETS, **_OTHERS}.get(ending):
        return Problem(file, None, what, "save it as CSV, JSON Lines or Parquet, unpacked")
    if file.name.startswith(_BOXES):
        return Problem(file, None, "is a file of COCO without captions", "leave it there")
    if size > LARGEST:
        what = f"has {size >> 20} MB, too many to look into"
        return Problem(file, None, what, "name this file alone to read it")
    found = attempt(file)
    if found is None:
        return Problem(file, None, "is in no known format of captions", "see the formats in the README")
    captions = sum(len(entry.captions) for entry in found.entries)
    if captions:
        what = f"holds {counted(captions, 'caption')} in the format {found.format}, but {used} was read"
        return Problem(file, None, what, f"choose --format {found.format}, or name this file alone")
    missed = [problem for problem in found.problems if problem.unread]
    broken = [problem for problem in missed if not problem.what.startswith("no column")]
    for first in (*broken, *missed, *found.problems):
        return replace(first, unread=bool(broken))
    return Problem(file, None, "holds no captions", "move it away if that is right")
