"""Rows of caption files gathered into one entry per image; unusable rows become problems."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from showtell.data.captions.entry import Entry, Problem, Source
from showtell.data.captions.locate import Locator
from showtell.data.captions.records import NOT_UTF8
from showtell.data.splits import split_name


class Gather:
    """Collects rows; those of the same image are merged."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._captions: dict[Path, list[str]] = {}
        self._splits: dict[Path, str | None] = {}
        self._missing: set[tuple[Path, str]] = set()
        self._strange_splits: set[str] = set()
        self._files: set[Path] = set()
        self._not_utf8: dict[Path, set[int | None]] = {}

    def add_named(
        self,
        file: Path,
        line: int | None,
        locate: Locator,
        name: object,
        captions: Iterable[object],
        split: object,
    ) -> None:
        """Add a row of `file`: an image by its name there, its captions and its split."""
        if not isinstance(name, str) or not name.strip():
            what = f"{name!r} is not the name of an image file" if name else "does not name an image"
            self.problem(file, line, what, "write its file name, or delete the row")
            return
        path = locate(name.strip())
        if path is not None:
            self.add(file, line, path, captions, split)
        elif (file, name) not in self._missing:
            self._missing.add((file, name))
            places = ", ".join(str(folder) for folder in locate.folders[:3])
            fix = f"put the image there or delete the row (looked in {places})"
            self.problem(file, line, f"image {name!r} is missing", fix)

    def add(
        self, file: Path, line: int | None, path: Path, captions: Iterable[object], split: object
    ) -> None:
        """Add captions of the image at `path`, found in `file`, and its split.

        Equal captions within a row are kept, as two people may have written the same; a repeated row is a
        problem.
        """
        self._files.add(file)
        mine = self._captions.setdefault(path, [])
        before = tuple(mine)
        for caption in captions:
            text = self._text(file, line, path.name, caption)
            if text in before:
                self.problem(
                    file, line, f"{path.name!r} has this caption already: {text!r}", "delete the row"
                )
            elif text is not None:
                mine.append(text)
        self._join(file, line, path, split)

    def problem(self, file: Path, line: int | None, what: str, fix: str, *, unread: bool = False) -> None:
        """Record a problem and go on."""
        self.problems.append(Problem(file, line, what, fix, unread))

    def source(self, format: str) -> Source:
        """Everything gathered."""
        entries = [Entry(path, tuple(texts), self._splits[path]) for path, texts in self._captions.items()]
        return Source(format, entries, self.problems, files=frozenset(self._files))

    def _text(self, file: Path, line: int | None, name: str, caption: object) -> str | None:
        """A caption as one line, or None after recording a problem."""
        if not isinstance(caption, str) and caption is not None:
            self.problem(
                file, line, f"a caption of {name!r} is {caption!r}, not text", "put it in quotes or delete it"
            )
            return None
        text = " ".join((caption or "").split())
        if not text:
            self.problem(file, line, f"a caption of {name!r} is empty", "write one or delete the row")
            return None
        if any(c == "\ufffd" or "\ud800" <= c <= "\udfff" for c in text):
            if file not in self._not_utf8:
                found = (one.line for one in self.problems if (one.file, one.what) == (file, NOT_UTF8))
                self._not_utf8[file] = {*found}
            if line not in self._not_utf8[file]:  # which is said already
                what = f"a caption of {name!r} has broken characters"
                self.problem(file, line, what, "save the file as UTF-8", unread=True)
            return None
        return text

    def _join(self, file: Path, line: int | None, path: Path, split: object) -> None:
        """Assign an image to the split that a row names."""
        name = str(split).strip() if split not in (None, "") else None
        known = split_name(name) if name else None
        if name and known is None and name not in self._strange_splits:
            self._strange_splits.add(name)
            self.problem(
                file, line, f"split {name!r} is not known", "call it train, val or test, or it stays unused"
            )
        before = self._splits.setdefault(path, known or name)
        if name and before not in (None, known or name):
            what = f"{path.name!r} is in the splits {before!r} and {known or name!r}"
            self.problems.append(Problem(file, line, what, "keep it in one of them", two_splits=True))
        elif before is None:
            self._splits[path] = known or name
