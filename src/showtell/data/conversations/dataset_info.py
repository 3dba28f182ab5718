"""`dataset_info.json`: what LLaMA-Factory says of the files beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from showtell.data.captions.entry import Problem

INFO = "dataset_info.json"


@dataclass(frozen=True)
class Named:
    """What it says of one file."""

    formatting: str
    columns: Mapping[str, str]
    tags: Mapping[str, str]

    def format(self, known: Mapping[str, Any]) -> str | None:
        """Its format among the `known` ones."""
        return next((name for name, one in known.items() if self.formatting == one.FORMATTING), None)


def named_files(folder: Path, problems: list[Problem]) -> dict[Path, Named]:
    """The files of a folder that its `dataset_info.json` names; none without one.

    Data sets of preferences, and those that are not a file in the folder, are problems.
    """
    file = folder / INFO
    if not file.is_file():
        return {}
    try:
        said = json.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        problems.append(Problem(file, None, f"cannot be read: {error}", "correct it there"))
        return {}
    found: dict[Path, Named] = {}
    for name, one in said.items() if isinstance(said, dict) else ():
        if not isinstance(one, dict) or not isinstance(one.get("file_name"), str):
            fault = "names no file", 'write "file_name"; nothing is fetched'
        elif one.get("ranking"):
            fault = "holds preferences, which are not read", "delete it"
        elif not (folder / one["file_name"]).is_file():
            fault = f"names the file {one['file_name']!r}, which is missing", f"put it into {folder}"
        else:
            columns, tags = _names(one, "columns"), _names(one, "tags")
            found[folder / one["file_name"]] = Named(one.get("formatting", "alpaca"), columns, tags)
            continue
        problems.append(Problem(file, None, f"{name!r} {fault[0]}", fault[1]))
    return found


def _names(entry: Mapping[str, Any], part: str) -> dict[str, str]:
    """The names that an entry gives; what is no name is as if it were not there."""
    given = entry.get(part)
    return (
        {key: name for key, name in given.items() if isinstance(name, str)} if isinstance(given, dict) else {}
    )
