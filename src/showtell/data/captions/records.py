"""Lenient readers of text, JSON and tables: what is broken becomes a problem, the rest is read."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from showtell.data.captions.entry import Problem
from showtell.data.captions.json_rows import json_rows
from showtell.data.images.files import is_image_name
from showtell.wording import counted

Record = tuple[int, dict[str, Any]]
NOT_UTF8 = "is not UTF-8"
DELIMITERS = "\t,;|"
_IMAGE_CELL = r"""["']?[^\t,;|"']*\.(?:jpe?g|png|gif|webp|bmp|tiff?|avif)(?:#\d+)?["']?"""
_IMAGE_FIRST = re.compile(rf"\s*{_IMAGE_CELL}\s*([\t,;|])", re.IGNORECASE)
_IMAGE_LAST = re.compile(rf"([\t,;|])\s*{_IMAGE_CELL}\s*$", re.IGNORECASE)
_LONGEST_FIELD = 50
"""Lines that one quoted field may span; beyond that, the quote counts as never closed."""
_CELL_LIMIT = Lock()
"""Held while the `csv` module's limit on the size of a cell, which is process-wide, is changed."""


def read_text(file: Path, problems: list[Problem]) -> str:
    """The text of a file in UTF-8 (or UTF-16 with a byte order mark), with `\\n` as line endings.

    Bytes that are not UTF-8 become U+FFFD, and a problem with the number of the first such line.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        problems.append(_unread(file, None, f"cannot be read: {error.strerror}", "make it readable"))
        return ""
    encoding = _encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problems.append(_unread(file, line, NOT_UTF8, "save the file as UTF-8"))
        text = data.decode(encoding, errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(file: Path, problems: list[Problem]) -> Any:
    """The value of a JSON file; None if it is empty, or after recording where it is invalid.

    JSON Lines under this name are a list.
    """
    text = read_text(file, problems)
    first, _, rest = text.strip().partition("\n")
    if first.startswith("{") and first.endswith("}") and rest.lstrip().startswith("{"):
        lines = enumerate(text.split("\n"), 1)
        return [_parse(line, file, number, problems) for number, line in lines if line.strip()]
    return _parse(text, file, None, problems) if text else None


def records(file: Path, problems: list[Problem]) -> Iterator[Record]:
    """Rows as `(line, {column: value})`: CSV, TSV, JSON, JSON Lines or Parquet, by the extension.

    A delimited file without a header has the columns `file_name` and `caption`.
    """
    if file.suffix.lower() == ".parquet":
        yield from _parquet(file, problems)
    elif file.suffix.lower() == ".json":
        yield from enumerate(json_rows(read_json(file, problems)), 1)
    elif file.suffix.lower() == ".jsonl":
        for line, text in enumerate(read_text(file, problems).split("\n"), 1):
            value = _parse(text, file, line, problems) if text.strip() else None
            if isinstance(value, dict):
                yield line, value
            elif value is not None:
                problems.append(
                    _unread(file, line, "is not a JSON object", 'write {"file_name": ..., "text": ...}')
                )
    else:
        yield from _delimited(file, problems)


def header(file: Path) -> list[str] | None:
    """The column names of a table, by its first row; None if it cannot be parsed. Raises `OSError`."""
    suffix = file.suffix.lower()
    if suffix == ".parquet":
        found: list[Problem] = []
        first = next(_parquet(file, found), None)
        return None if found else list(first[1]) if first else []
    if suffix == ".json":
        found = []
        rows = json_rows(read_json(file, found))
        return None if found and not rows else list(next(filter(None, rows), {}))
    with file.open("rb") as opened:
        start = opened.read(8192)
        if suffix == ".jsonl":
            start += opened.readline()
    lines = start.decode(_encoding(start), errors="replace").splitlines()
    if suffix == ".jsonl":
        found = []
        first_line = next(filter(str.strip, lines), "{}")
        value = _parse(first_line, file, None, found)
        return None if found else list(value) if isinstance(value, dict) else []
    return _layout(lines[0])[0] if lines else []


def _unread(file: Path, line: int | None, what: str, fix: str) -> Problem:
    return Problem(file, line, what, fix, unread=True)


def _encoding(data: bytes) -> str:
    return "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"


def _layout(line: str) -> tuple[list[str], str, bool]:
    """The columns by a file's first line, the separator, and whether that line is a header."""
    for pattern, names in ((_IMAGE_FIRST, ["file_name", "caption"]), (_IMAGE_LAST, ["caption", "file_name"])):
        if match := pattern.search(line) if pattern is _IMAGE_LAST else pattern.match(line):
            return names, match[1], False
    delimiter = max(DELIMITERS, key=line.count)
    return _first_row([line], delimiter)[0], delimiter, True


def _parse(text: str, file: Path, line: int | None, problems: list[Problem]) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        what = f"is not valid JSON at column {error.colno}: {error.msg}"
        problems.append(_unread(file, line or error.lineno, what, "correct it there"))
    except RecursionError:
        problems.append(_unread(file, line, "is nested too deeply", "flatten it"))
    return None


def _delimited(file: Path, problems: list[Problem]) -> Iterator[Record]:
    lines = read_text(file, problems).split("\n")
    names, delimiter, headed = _layout(lines[0])
    at = 1 if headed else 0
    while at < len(lines):
        row, span = _row(lines, at, delimiter)
        if not span:
            fix = "close it, or double it if it is part of the text"
            problems.append(_unread(file, at + 1, "has a quote that is never closed", fix))
        elif len(row) == len(names):
            record = dict(zip(names, row, strict=True))
            if not headed:
                record["file_name"] = re.sub(r"#\d+$", "", record["file_name"])
            yield at + 1, record
        elif any(row):
            quoted = f'put a text that has {delimiter!r} in it in "quotes"'
            fix = quoted if len(row) > len(names) else "add what is missing, or delete the row"
            has = f"has {counted(len(row), 'column')}, not {len(names)}"
            problems.append(_unread(file, at + 1, has, fix))
        at += span or 1


def _row(lines: list[str], at: int, delimiter: str) -> tuple[list[str], int]:
    """The cells of the row that begins at a line, and the number of lines it spans; 0 for an open quote."""
    window = lines[at : at + _LONGEST_FIELD] if lines[at].count('"') % 2 else [lines[at]]
    row, span = _first_row([*(line + "\n" for line in window), "end"], delimiter)
    # An open quote swallows the rows below it, up to the end or the next quote.
    swallowed = lines[at + 1 : at + span]
    if span > len(window) or any(is_image_name(line.split(delimiter)[0].strip()) for line in swallowed):
        return [], 0
    return row, span


def _first_row(lines: Sequence[str], delimiter: str) -> tuple[list[str], int]:
    """The cells of the first row of `lines`, however long, and the number of lines it spans."""
    reader = csv.reader(lines, delimiter=delimiter)
    with _CELL_LIMIT:
        usual = csv.field_size_limit()
        csv.field_size_limit(max(usual, sum(map(len, lines))))
        try:
            row = next(reader, [])
        finally:
            csv.field_size_limit(usual)
    return [cell.strip() for cell in row], reader.line_num


def _parquet(file: Path, problems: list[Problem]) -> Iterator[Record]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(file) as table:
            row = 0
            for batch in table.iter_batches():
                for record in batch.to_pylist():
                    row += 1
                    yield row, record
    except (pyarrow.ArrowException, OSError) as error:
        what = f"is not a readable Parquet file: {str(error).splitlines()[0]}"
        problems.append(_unread(file, None, what, "write it again"))
