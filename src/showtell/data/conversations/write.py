"""Write conversations in one of the formats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from showtell.data.conversations.conversation import Conversation, Fault
from showtell.data.conversations.read import known_formats
from showtell.errors import UsageError
from showtell.writing import write_file


def write_conversations(conversations: Sequence[Conversation], file: Path, format: str) -> None:
    """Write a JSON list, or JSON Lines where the file's name ends so; images are named from its folder.

    Raises `UsageError` for an unknown format, for what it cannot hold, and for images outside the folder.
    """
    known = known_formats()
    if format not in known:
        raise UsageError(f"there is no format {format!r} of conversations, only {', '.join(known)}")
    root, layout, records = file.parent.resolve(), known[format].LAYOUT, []
    for one in conversations:
        try:
            record = layout.write(one)
        except Fault as fault:
            raise UsageError(f"{fault.what}; {fault.fix}") from fault
        paths = [path.resolve() for path in one.images]
        if outside := next((path for path in paths if not path.is_relative_to(root)), None):
            raise UsageError(f"the image {outside} lies outside {root}; write the file beside its images")
        images = [path.relative_to(root).as_posix() for path in paths]
        records.append(record | ({"images": images} if images else {}))
    if file.suffix.lower() == ".jsonl":
        text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records)
    else:
        text = json.dumps(records, ensure_ascii=False, indent=1) + "\n"
    write_file(file, text.encode())
