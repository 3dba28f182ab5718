"""Labelled images: one folder per class, on disk or in a tar archive, which is read without unpacking."""

from __future__ import annotations

import hashlib
import logging
import lzma
import os
import tarfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from showtell.data.images.decode import ImageError
from showtell.data.images.files import find_images, is_image_name, is_passed_over, read_content
from showtell.data.labels.places import Places, places
from showtell.errors import UserError
from showtell.wording import counted

logger = logging.getLogger(__name__)

LARGEST = 1 << 28
"""Bytes of an image in an archive; a larger one is skipped."""
ONE_IN = 5
"""Without splits in the data, one image in so many is held out."""

_BROKEN = (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError)


@dataclass(frozen=True)
class Labelled:
    """One image with its class."""

    name: str
    """Its path inside the folder or archive."""
    label: int
    held_out: bool
    """Whether it is for testing rather than training."""


@dataclass(frozen=True)
class Classes:
    """Labelled images, not yet read."""

    root: Path
    names: tuple[str, ...]
    """Names of the classes, in the order of the labels."""
    items: tuple[Labelled, ...]

    def contents(self, wanted: Collection[Labelled]) -> Iterator[tuple[Labelled, bytes | ImageError]]:
        """The bytes of some images, or the reason why one cannot be read.

        An archive is read from start to end, in its own order.
        Raises `UserError` when the archive is damaged.
        """
        if self.root.is_dir():
            for item in wanted:
                try:
                    yield item, read_content(self.root / item.name)[0]
                except ImageError as error:
                    yield item, error
            return
        of_name = {item.name: item for item in wanted}
        for member, data in _members(self.root, of_name):
            if member.name in of_name:
                too_large = ImageError(member.name, f"is larger than {LARGEST >> 20} MB")
                yield of_name.pop(member.name), too_large if data is None else data


def read_classes(root: Path) -> Classes:
    """Find the classes of `root` and the split of each image, by its folders: see `labels.places`.

    Enclosing and deeper folders do not matter. `test` is held out, or else `val`; without either, one image
    in five, by a hash of its name. Other files are ignored; images that are not used are logged, counted.

    Raises `UserError` for fewer than two classes, a class without training images, or an image in two splits.
    """
    found = places(_names_in_folder(root) if root.is_dir() else _names_in_archive(root))
    splits = {place.split for place in found.of_name.values()}
    tested = next((split for split in ("test", "val") if split in splits), None)
    used = {name: place for name, place in found.of_name.items() if place.split in ("train", None, tested)}
    names = tuple(sorted({place.label for place in used.values()}))
    if len(names) < 2:
        raise UserError(
            f"{root} holds {counted(len(names), 'class')}; "
            "put the images of each class in a folder of its own"
        )
    items = tuple(
        Labelled(
            name,
            names.index(place.label),
            _chosen(name) if tested is None else place.split == tested,
        )
        for name, place in sorted(used.items())
    )
    trained = {item.label for item in items if not item.held_out}
    if bare := [name for label, name in enumerate(names) if label not in trained]:
        raise UserError(
            f"{root}: the class {bare[0]!r} has no training images; add some, or remove the class"
        )
    if len(items) == sum(not item.held_out for item in items):
        raise UserError(f"{root} has no test images; add images, or a folder called test")
    _log(root, found, tested)
    return Classes(root, names, items)


def _log(root: Path, found: Places, tested: str | None) -> None:
    """What the folders say, and which images are not used."""
    counts = Counter(place.split for place in found.of_name.values())
    if {*counts} - {None}:
        said = ", ".join(f"{count} in {split}" for split, count in counts.items() if split)
        rest = f", {counts[None]} in none, to train on" if counts[None] else ""
        logger.info("%s: images by the splits that folders name: %s%s", root, said, rest)
    if tested == "test" and counts["val"]:
        logger.info("%s of the split val not used: test is for testing", counted(counts["val"], "image"))
    for what, folders in (("without a class", found.unlabelled), ("beside the splits", found.beside)):
        if folders:
            most = ((root if folder == "." else folder, count) for folder, count in folders.most_common(3))
            where = ", ".join(f"{count} in {folder}" for folder, count in most)
            more = ", ..." if len(folders) > 3 else ""
            logger.warning("%s %s not used: %s%s", counted(folders.total(), "image"), what, where, more)
    if found.classes_like_splits:
        logger.warning(
            "%s: %s taken as a class, not as a split, as it stands among other classes",
            root,
            ", ".join(map(repr, found.classes_like_splits)),
        )


def _names_in_folder(root: Path) -> list[str]:
    return [os.fspath(path.relative_to(root)) for path in find_images(root)]


def _names_in_archive(root: Path) -> list[str]:
    if not root.exists():
        raise UserError(f"there is no folder or archive {root}")
    return [
        member.name
        for member, _ in _members(root)
        if is_image_name(PurePosixPath(member.name).name)
        and not any(_is_hidden(part) for part in PurePosixPath(member.name).parts)
    ]


def _is_hidden(part: str) -> bool:
    return is_passed_over(part) and part not in (".", "..")


def _members(root: Path, wanted: Collection[str] = ()) -> Iterator[tuple[tarfile.TarInfo, bytes | None]]:
    """The files of an archive, with the bytes of the wanted ones that are not too large."""
    try:
        with tarfile.open(root, "r|*") as archive:  # a stream: no seeking, no unpacking
            for member in archive:
                if member.isfile():
                    read = member.name in wanted and member.size <= LARGEST
                    file = archive.extractfile(member) if read else None
                    yield member, file.read() if file else None
    except _BROKEN as error:
        raise UserError(
            f"{root} cannot be read as a tar archive: {error}. Copy it again, or name an unpacked folder"
        ) from error


def _chosen(name: str) -> bool:
    return hashlib.sha256(os.fsencode(name)).digest()[0] % ONE_IN == 0
