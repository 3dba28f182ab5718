"""Images of documents with what they say, in any format.

A format is a module of `formats/`, found by being there. It offers

    LOOKED_FOR                          what its file looks like
    file(path) -> Path | None           its file, in a folder or itself
    read(file) -> list[Labelled]        the documents; raises `UserError` naming what is wrong
"""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from showtell.data.documents import formats
from showtell.data.documents.materials import KIND
from showtell.data.documents.text_line import TextLine
from showtell.errors import UserError

Material = dict[str, str]
"""The fields of a material by name, its kind under `文字材料类别`."""


@dataclass(frozen=True)
class Labelled:
    """An image with the materials in it."""

    path: Path
    materials: tuple[Material, ...]
    split: str | None = None
    """`train` or `val`; None where the data does not say."""
    lines: tuple[TextLine, ...] | None = None
    """What is printed, where the data says it: the image need not be read to train on it."""


class Format(Protocol):
    """One way to write labelled documents: a module of `formats/`."""

    LOOKED_FOR: str

    def file(self, path: Path) -> Path | None:
        """The file of a data set; None where `path` is none of this format."""
        ...

    def read(self, file: Path) -> list[Labelled]:
        """Its documents. Raises `UserError`."""
        ...


@cache
def known_formats() -> Mapping[str, Format]:
    """The formats by name."""
    names = [module.name for module in pkgutil.iter_modules(formats.__path__)]
    return {name: cast(Format, import_module(f"{formats.__name__}.{name}")) for name in names}


def holds_documents(path: Path) -> bool:
    """Whether a folder or file holds labelled documents, or is a folder of folders of which some do."""
    return any(_file(each) for each in data_sets(path))


def data_sets(path: Path) -> list[Path]:
    """The folders of labelled documents in a folder; itself, or a file, where it holds some or none does."""
    inside = sorted(each for each in path.iterdir() if each.is_dir()) if path.is_dir() else []
    found = [] if _file(path) else [each for each in inside if _file(each)]
    return found or [path]


def _file(path: Path) -> Path | None:
    return next(filter(None, (one.file(path) for one in known_formats().values())), None)


def read_labelled(path: Path) -> list[Labelled]:
    """The documents of a folder or file.

    Raises `UserError` for what is no such data, for a material that is no mapping of texts or has no kind,
    and for an image that is not there.
    """
    for one in known_formats().values():
        if file := one.file(path):
            found = one.read(file)
            for document in found:
                _check(file, document)
            return found
    looked = "\n".join(f"  {name}: {one.LOOKED_FOR}" for name, one in known_formats().items())
    raise UserError(f"{path} holds no labelled documents. Looked for:\n{looked}")


def _check(file: Path, document: Labelled) -> None:
    if not document.path.is_file():
        raise UserError(f"{file}: there is no image {document.path}; correct its name, or add the image")
    for material in document.materials:
        texts = isinstance(material, dict) and all(isinstance(value, str) for value in material.values())
        if not texts or not material.get(KIND):
            shown = json.dumps(material, ensure_ascii=False)[:80]
            raise UserError(
                f"{file}: a material of {document.path.name} is {shown}; write an object of texts, its kind "
                f"under {KIND}"
            )


def json_value(text: str, where: str) -> Any:
    """The value of a JSON text. Raises `UserError` that says where it is damaged."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: is not valid JSON: {error}") from error
