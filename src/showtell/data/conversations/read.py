"""Read conversations, whatever format they are in.

A format is a module of `formats/`, found by being there. It offers

    LOOKED_FOR      what its files look like
    FORMATTING      what a `dataset_info.json` calls it
    LAYOUT          its `mark`, the field that tells it; `read`, a record's messages; `write`, the way back;
                    `renamed`, the same with other names
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from showtell.data.captions.entry import Problem
from showtell.data.captions.locate import Locator
from showtell.data.conversations import formats
from showtell.data.conversations.conversation import Conversation, Fault, Message, Source, require_order
from showtell.data.conversations.dataset_info import INFO, Named, named_files
from showtell.data.conversations.records import json_records
from showtell.data.conversations.turns import text_of
from showtell.data.splits import split_of_file
from showtell.errors import UsageError, UserError

BEGINNING = 1 << 16
"""Bytes of a file in which its format is told."""
UNREAD = ("videos", "video", "audios", "audio")


class Layout(Protocol):
    """How a record holds its messages."""

    mark: str

    def read(self, record: Mapping[str, Any]) -> list[Message]:
        """The messages of a record. Raises `Fault`."""
        ...

    def write(self, conversation: Conversation) -> dict[str, Any]:
        """A record without its images. Raises `Fault` for what it cannot hold."""
        ...

    def renamed(self, columns: Mapping[str, str], tags: Mapping[str, str]) -> Layout:
        """The same with the names of a `dataset_info.json`."""
        ...


class Format(Protocol):
    """One way to write conversations: a module of `formats/`."""

    LOOKED_FOR: str
    FORMATTING: str
    LAYOUT: Layout


@cache
def known_formats() -> Mapping[str, Format]:
    """The formats by name."""
    names = [module.name for module in pkgutil.iter_modules(formats.__path__)]
    return {name: cast(Format, import_module(f"{formats.__name__}.{name}")) for name in names}


def conversation_files(path: Path) -> list[Path]:
    """The files of conversations at a path: a file, or those of a folder; none where there are no such."""
    if path.name == INFO:
        path = path.parent
    files = [path] if path.is_file() else sorted(path.glob("*.json*")) if path.is_dir() else []
    named = named_files(path if path.is_dir() else path.parent, [])
    return [file for file in files if file.is_file() and file.name != INFO and (file in named or _told(file))]


def read_conversations(path: Path | str, format: str | None = None) -> Source:
    """The conversations of a file, of a folder's files, or of those that a `dataset_info.json` names.

    A bad record becomes a problem of the source, never an exception. Raises `UserError` where nothing usable
    is found, `UsageError` for an unknown format.
    """
    path, known = Path(path).absolute(), known_formats()
    if format is not None and format not in known:
        raise UsageError(f"there is no format {format!r} of conversations, only {', '.join(known)}")
    if not path.exists():
        raise UserError(f"{path} does not exist; name a file of conversations")
    problems: list[Problem] = []
    folder = path if path.is_dir() else path.parent
    named = named_files(folder, problems)
    files = [path] if format and path.is_file() else conversation_files(path)
    found: list[Conversation] = []
    told: dict[str, None] = {}
    for file in files:
        name = format or (named[file].format(known) if file in named else None) or _told(file)
        if name is None:
            formatting = named[file].formatting
            problems.append(
                Problem(file, None, f"is of the formatting {formatting!r}", "convert it to openai")
            )
            continue
        told[name] = None
        found += _conversations(file, known[name].LAYOUT, named.get(file), problems)
    if not found:
        reasons = "".join(f"\n  {problem}" for problem in problems[:5])
        looked = "".join(f"\n  {name}: {one.LOOKED_FOR}" for name, one in known.items())
        raise UserError(f"{path} holds no usable conversation{reasons or f'. Looked for:{looked}'}")
    return Source(", ".join(told), found, problems, tuple(files))


def _conversations(
    file: Path, layout: Layout, named: Named | None, problems: list[Problem]
) -> list[Conversation]:
    columns: Mapping[str, str] = named.columns if named else {}
    layout = layout.renamed(columns, named.tags) if named else layout
    locate, split, found = Locator(file, nearby=False), split_of_file(file, file.parent), []
    for number, (line, record) in enumerate(json_records(file, problems), 1):
        try:
            messages, images = _record(record, layout, columns, locate, file.parent)
        except Fault as fault:
            problems.append(Problem(file, line, f"record {number}: {fault.what}", fault.fix))
            continue
        where = f"record {number} of {file.name} (line {line})"
        found.append(Conversation(tuple(messages), tuple(images), split, where))
    return found


def _record(
    record: Any, layout: Layout, columns: Mapping[str, str], locate: Locator, root: Path
) -> tuple[list[Message], list[Path]]:
    if not isinstance(record, dict):
        raise Fault("is no object", f'write {{"{layout.mark}": ...}}')
    if layout.mark not in record:
        has = ", ".join(map(repr, record)) or "nothing"
        raise Fault(f"has no {layout.mark!r}, only {has}", f"write {layout.mark!r}")
    if unread := next((name for name in UNREAD if record.get(name)), None):
        raise Fault(f"has {unread}, which are not read", "delete the record")
    if record.get(columns.get("tools", "tools")):
        raise Fault("has tools, which are not read", "describe them in the system message")
    messages = layout.read(record)
    if system := record.get(columns.get("system", "system")):
        if messages[0].role == "system":
            raise Fault("has two system messages", "keep one of them")
        messages = [Message("system", text_of(system, "system")), *messages]
    column = columns.get("images", "images")
    names = record.get(column) or record.get("image") or []
    names = [names] if isinstance(names, str | dict) else names
    if not isinstance(names, list):
        raise Fault(f"{column} is no list of files", f'write "{column}": ["file.png"]')
    require_order(messages, len(names))
    return messages, [_image(name, locate, root) for name in names]


def _image(name: Any, locate: Locator, root: Path) -> Path:
    """The file of an image. Raises `Fault` for one that is missing or outside the folder of the data."""
    name = name.get("path") if isinstance(name, dict) else name
    if not isinstance(name, str) or not name:
        raise Fault(f"{name!r} names no image", "write the file's name")
    path = locate(name)
    if path is None or not path.is_file():
        raise Fault(f"the image {name!r} is missing", f"put it under {root}, or delete the record")
    if not path.resolve().is_relative_to(root.resolve()):
        raise Fault(f"the image {name!r} lies outside {root}", "copy it into that folder")
    return path


def _told(file: Path) -> str | None:
    """The format by the fields that a file's beginning names; None for no known one."""
    if file.suffix.lower() not in (".json", ".jsonl"):
        return None
    try:
        with file.open("rb") as opened:
            start = opened.read(BEGINNING)
    except OSError:
        return None
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        start = start.decode("utf-16", "ignore").encode()
    marks = {one.LAYOUT.mark: name for name, one in known_formats().items()}
    found = re.search(rf'"({"|".join(marks)})"\s*:'.encode(), start)
    return marks[found[1].decode()] if found else None
