"""Documents read from text files and JSON Lines, compressed or not."""

from __future__ import annotations

import gzip
import json
import logging
import lzma
import re
import zlib
from codecs import getincrementaldecoder
from collections.abc import Iterator
from enum import StrEnum
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, cast

from showtell.data.splits import split_of_row
from showtell.errors import UserError
from showtell.wording import counted

logger = logging.getLogger(__name__)

ENDINGS = (".txt", ".txt.xz", ".txt.gz", ".jsonl", ".jsonl.xz", ".jsonl.gz")
LONGEST = 1 << 24
"""Bytes of a line, and characters of a document, that are kept: three times the Bible. A file of half a
megabyte may unpack to a line of gigabytes."""
_BEGUN_TEXT = re.compile(r'\s*\{\s*"text"\s*:\s*"((?:[^"\\]|\\u[0-9a-fA-F]{4}|\\[^u])*)')
_HTML_BREAKS = re.compile(r"(?:\s*<br\s*/?>)+\s*", re.IGNORECASE)


class Layout(StrEnum):
    """How a file separates its documents."""

    LINES = "one document per line"
    BLANK = "blank lines between documents"
    RECORDS = 'JSON Lines, a document in each "text"'


def text_files(path: Path) -> list[Path]:
    """The file itself, or all text files under a folder, sorted by name.

    Raises `UserError` where there is none.
    """
    if not path.is_dir():
        if not path.exists():
            raise UserError(f"{path} does not exist")
        return [path]
    found = sorted(
        file
        for file in path.rglob("*")
        if file.name.lower().endswith(ENDINGS) and not file.name.startswith(".") and file.is_file()
    )
    if not found:
        raise UserError(f"{path} holds no text files; looked for names that end in {', '.join(ENDINGS)}")
    return found


def layout_of(file: Path) -> Layout:
    """The layout of a file: `BLANK` if there is a blank line between texts.

    Raises `UserError` for a file that cannot be read.
    """
    if file.name.lower().removesuffix(".xz").removesuffix(".gz").endswith(".jsonl"):
        return Layout.RECORDS
    after_text = after_blank = False
    for _, line in lines(file, []):
        if line.strip():
            if after_blank:
                return Layout.BLANK
            after_text = True
        else:
            after_blank = after_text
    return Layout.LINES


def documents(file: Path, layout: Layout) -> Iterator[str]:
    """The non-empty documents of a file, stripped; HTML's `<br />` becomes a newline.

    The file is read as a stream. A document of more than `LONGEST` bytes is cut, and logged, counted.
    Raises `UserError` with file and line for bytes that are not UTF-8, not text or not JSON.
    """
    return (document for document, _ in documents_with_splits(file, layout))


def documents_with_splits(
    file: Path, layout: Layout, *, logs: bool = True
) -> Iterator[tuple[str, str | None]]:
    """As `documents`, each with the split that its record names in a field `split`, or None."""
    cut: list[int] = []
    texts: Iterator[tuple[str, str | None]]
    if layout is Layout.BLANK:
        texts = ((paragraph, None) for paragraph in _paragraphs(file, cut))
    elif layout is Layout.RECORDS:
        texts = (_text_of(line, file, n, n in cut[-1:]) for n, line in lines(file, cut))
    else:
        texts = ((line, None) for _, line in lines(file, cut))
    for text, split in texts:
        if document := plain(text):
            yield document, split
    if cut and logs:
        many = f"{counted(len(cut), 'document')} longer than {LONGEST:,} bytes"
        logger.warning("%s: %s cut there, the first at line %d", file, many, cut[0])


def read_whole(file: Path) -> str:
    """All text of a file, compressed or not. Raises `UserError` as `lines`."""
    return "\n".join(line for _, line in lines(file))


def plain(text: str) -> str:
    """The text stripped, with HTML's `<br />` as a newline."""
    return _HTML_BREAKS.sub("\n", text).strip()


def _paragraphs(file: Path, cut: list[int]) -> Iterator[str]:
    held: list[str] = []
    size = full = 0
    for number, line in lines(file, cut):
        if not line.strip():
            yield "\n".join(held)
            held, size, full = [], 0, 0
        elif size + len(line) <= LONGEST:
            held.append(line.rstrip())
            size += len(line) + 1
        elif not full:
            held.append(line[: LONGEST - size].rstrip())
            size, full = LONGEST, number
            cut += [number] if number not in cut[-1:] else []
    yield "\n".join(held)


def _text_of(line: str, file: Path, number: int, cut: bool) -> tuple[str, str | None]:
    if not line.strip():
        return "", None
    if cut:  # the object is not whole
        begun = _BEGUN_TEXT.match(line)
        if begun is None:
            raise UserError(
                f'{file}, line {number}: is longer than {LONGEST:,} bytes, and "text" is not first'
            )
        line = f'{{"text": "{begun[1]}"}}'
    record = record_of(line, file, number)
    text = record.get("text")
    if not isinstance(text, str):
        raise UserError(f'{file}, line {number}: has no text; write {{"text": "..."}}')
    return text, split_of_row(record)


def record_of(line: str, file: Path, number: int) -> dict[str, Any]:
    """The object in a line of JSON; an empty one for JSON of another type.

    Raises `UserError` with file and line for invalid JSON.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}, line {number}: is not valid JSON: {error}") from error
    return record if isinstance(record, dict) else {}


def lines(file: Path, cut: list[int] | None = None) -> Iterator[tuple[int, str]]:
    """Lines of a file, compressed or not, without their endings, numbered from 1.

    The numbers of lines longer than `LONGEST` bytes, which are cut, are added to `cut`. Raises `UserError`
    with file and line for bytes that are not UTF-8 or not text, and for such a long line without `cut`.
    """
    try:
        with _open(file) as opened:
            for number, (line, whole) in enumerate(_bounded(opened), 1):
                if b"\0" in line:
                    raise UserError(f"{file}, line {number}: holds a zero byte, so this is not a text file")
                if not whole and cut is None:
                    raise UserError(f"{file}, line {number}: is longer than {LONGEST:,} bytes; divide it")
                if not whole and cut is not None:
                    cut.append(number)
                encoding = "utf-8-sig" if number == 1 else "utf-8"
                text = line.decode(encoding) if whole else getincrementaldecoder(encoding)().decode(line)
                yield number, text.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{file}, line {number}: is not UTF-8; save the file as UTF-8") from error
    except (lzma.LZMAError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise UserError(f"{file} cannot be decompressed: {error}") from error
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror or error}") from error


def _bounded(opened: IO[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Lines of at most `LONGEST` bytes, and whether each is whole; the rest of a long one is passed over."""
    while line := opened.readline(LONGEST):
        rest = b"" if line.endswith(b"\n") else opened.readline(1 << 16)
        whole = not rest.strip(b"\r\n")
        while rest and not rest.endswith(b"\n"):
            rest = opened.readline(1 << 16)
        yield line, whole


def _open(file: Path) -> IO[bytes]:
    name = file.name.lower()
    if name.endswith(".xz"):
        return BufferedReader(lzma.open(file, "rb"))
    return cast(IO[bytes], gzip.open(file, "rb")) if name.endswith(".gz") else file.open("rb")
