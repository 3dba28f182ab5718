"""The regions of a data set's images, as a run reads them: in place of a cache of features."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from showtell.data.batch import ImageBatch
from showtell.data.captions.entry import Problem
from showtell.data.captions.read import read_captions
from showtell.data.features import FeatureRows
from showtell.data.images.decode import ImageError
from showtell.data.qa.examples import images_of
from showtell.data.qa.read import found_format, known_formats, read_examples
from showtell.data.regions.read import RegionFile
from showtell.data.regions.region import image_key, region_batch
from showtell.errors import UserError
from showtell.progress import report
from showtell.wording import counted, listed


def region_file(path: Path) -> RegionFile:
    """A region file, indexed once per process as long as it does not change."""
    changed = path.stat().st_mtime_ns if path.exists() else 0
    return _indexed(path, changed)


@lru_cache(maxsize=2)
def _indexed(path: Path, changed: int) -> RegionFile:
    return RegionFile(path)


class RegionImages:
    """Images whose regions are read from a file whenever a batch needs them."""

    def __init__(self, file: RegionFile) -> None:
        self.file = file
        self._paths = list[Path]()
        self._row_of = dict[Path, int]()
        self._named = dict[str, Path]()

    def add(self, paths: Sequence[Path], what: str = "reading regions") -> FeatureRows:
        """The images' rows; those without sound regions are skipped.

        Raises `UserError` where two images would read the same regions, or none has any.
        """
        skipped, rows = dict[Path, str](), list[int]()
        for done, path in enumerate(paths, 1):
            if path not in self._row_of and path not in skipped:
                try:
                    self.file.load(path)
                except ImageError as error:
                    skipped[path] = error.reason
                else:
                    self._claim(path)
            rows.append(self._row_of.get(path, -1))
            report(what, done, len(paths))
        if paths and len(skipped) == len(set(paths)):
            name, reason = next(iter(skipped.items()))
            ids = listed([*self.file.ids.values()][:3])
            raise UserError(
                f"none of {counted(len(skipped), 'image')} has regions in {self.file.path}, the first: "
                f"{name}: {reason}; its ids, such as {ids}, must be the images' names or COCO's numbers"
            )
        return FeatureRows(np.array(rows, np.int64), skipped)

    def images(self, rows: Sequence[int]) -> ImageBatch:
        """The features and boxes of some rows."""
        return region_batch([self.file.load(self._paths[row]) for row in rows])

    def _claim(self, path: Path) -> None:
        other = self._named.setdefault(image_key(path.name), path)
        if other != path:
            raise UserError(
                f"{other} and {path} would both read the regions of {image_key(path.name)!r} in "
                f"{self.file.path}: give the images names of their own"
            )
        self._row_of[path] = len(self._paths)
        self._paths.append(path)


def images_of_data(data: Path, format: str | None = None) -> list[Path]:
    """The images of questions, or those with captions. Raises `UserError` where there are none."""
    if format in known_formats() or (format is None and found_format(data)):
        found = read_examples(data, format)
        return list({path: None for some in found.splits.values() for one in some for path in images_of(one)})
    return [entry.path for entry in read_captions(data, format).entries]


def region_problems(file: RegionFile, images: Sequence[Path] | None) -> list[Problem]:
    """What is wrong with a region file: unsound regions and, where `images` are given, those without any."""
    problems = list(file.problems)
    for done, (key, id) in enumerate(file.ids.items(), 1):
        try:
            file.load_id(key)
        except ImageError as error:
            what = f"image {id!r}: {error.reason.removeprefix(file.path.name).strip()}"
            problems.append(Problem(file.path, None, what, "correct it, or its image is left out"))
        report("checking regions", done, len(file))
    if images is None:
        return problems
    named = {image_key(path.name): path for path in images}
    for path in images:
        if (key := image_key(path.name)) not in file.ids:
            fix = "write them, or the image is left out"
            problems.append(Problem(path, None, f"has no regions in {file.path.name}", fix))
        elif named[key] != path:
            what = f"has the regions of {named[key]} too"
            problems.append(Problem(path, None, what, "give the images names of their own"))
    return problems


def unread_regions(file: RegionFile, images: Sequence[Path]) -> list[str]:
    """The ids of a region file that are of none of the images."""
    named = {image_key(path.name) for path in images}
    return [id for key, id in file.ids.items() if key not in named]
