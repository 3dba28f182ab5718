"""Fonts of this machine that can be scaled: found, and asked which characters they draw."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
from PIL import ImageFont

from showtell.errors import UsageError, UserError
from showtell.wording import counted, listed

logger = logging.getLogger(__name__)

ENDINGS = (".ttf", ".otf", ".ttc", ".otc")
WHERE_FROM = "apt install fonts-dejavu-core and pip install font-roboto bring some"
_FILLERS = (0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0)
"""Letters and symbols that are blank: of Hangul, and of Braille."""
_UNSEEN = frozenset(
    [
        *(*range(9, 14), 0x20, 0x85, 0xA0, 0xAD, *_FILLERS, *range(0x2000, 0x2010), *range(0x2028, 0x2030)),
        *(0x205F, 0x2060, 0x3000, *range(0xFE00, 0xFE10), 0xFEFF),
    ]
)
"""Spaces, and signs that steer layout: no font needs to draw them."""
_CONTROL = frozenset([*range(0x20), *range(0x7F, 0xA0)])
"""Not for print; fonts that list them have an empty glyph, or that of another encoding."""
_CHINESE = range(0x3000, 0xA000)
"""Code points that `fonts-wqy-microhei` draws: Chinese characters, their signs, kana."""
_TRIES = 16


@dataclass(frozen=True, order=True)
class Font:
    """One face of a font file."""

    name: str
    """Family and style, such as `DejaVu Sans Bold`."""
    path: str
    """Empty for Aileron, which Pillow carries: basic Latin alone."""
    index: int = 0
    """Of the faces in one file."""

    def at(self, size: float, layout: ImageFont.Layout) -> ImageFont.FreeTypeFont:
        """The face at a size in pixels per em."""
        if self.path:
            return ImageFont.truetype(self.path, size, self.index, layout_engine=layout)
        built_in = ImageFont.load_default(size)
        assert isinstance(built_in, ImageFont.FreeTypeFont)
        return built_in.font_variant(size=size, layout_engine=layout)

    def covers(self, text: str) -> bool:
        """Whether the font draws every character of a text."""
        return not self.missing(text)

    def missing(self, text: str) -> set[str]:
        """The characters of a text that the font does not draw."""
        return {chr(point) for point in {*map(ord, text)} - self.characters}

    @cached_property
    def characters(self) -> frozenset[int]:
        """Code points of the characters that it draws.

        None for a font of symbols without Unicode names, and for one of last resort, whose glyphs show the
        script of a character: it gives different letters one glyph.
        """
        from fontTools.ttLib import TTFont, TTLibError

        file = self.path or self.at(10, ImageFont.Layout.BASIC).path
        try:
            with TTFont(file, fontNumber=self.index, lazy=True) as font:
                glyphs = font.getBestCmap() or {}
        except (TTLibError, OSError, AssertionError, ValueError):
            return _UNSEEN
        last_resort = ord("a") in glyphs and glyphs[ord("a")] == glyphs.get(ord("b"))
        return _UNSEEN if last_resort else _UNSEEN | ({*glyphs} - _CONTROL)


BUILT_IN = Font("Aileron Regular", "")


def fonts(folder: Path | None = None) -> tuple[Font, ...]:
    """The fonts under a folder; by default those of the system and of installed packages. Sorted by name.

    Pillow's own is always among the latter, so there is at least one. Files that cannot be opened are logged,
    counted. Raises `UserError` for a folder without fonts.
    """
    if folder is None:
        return _installed()
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name one that holds fonts ({', '.join(ENDINGS)})")
    found = _opened(_files(folder))
    if not found:
        raise UserError(f"{folder} holds no fonts ({', '.join(ENDINGS)}); {WHERE_FROM}")
    return found


def open_font(file: Path) -> tuple[Font, ...]:
    """The faces of one font file. Raises `UserError` for a file that is no font."""
    try:
        return tuple(_faces(file))
    except OSError as error:
        raise UserError(f"{file} is not a font that can be opened ({error}); {WHERE_FROM}") from error


def is_blank(text: str) -> bool:
    """Whether a text is of spaces and signs of layout alone.

    >>> is_blank("a"), is_blank(" \\u200b\\u3000"), is_blank("")
    (False, True, True)
    """
    return _UNSEEN.issuperset(map(ord, text))


def choose(text: str, among: Sequence[Font], generator: np.random.Generator) -> Font:
    """One of the fonts that draw every character of a text, each as likely.

    Raises `UserError` that names the characters where there is none.
    """
    for _ in range(_TRIES):
        font = among[int(generator.integers(len(among)))]
        if font.covers(text):
            return font
    able = [font for font in among if font.covers(text)]
    if not able:
        raise UserError(undrawable(text, among))
    return able[int(generator.integers(len(able)))]


def find_font(name: str, among: Sequence[Font]) -> Font:
    """The font of a name, such as `DejaVu Sans Bold`, whatever the case.

    Raises `UsageError` for an unknown name, with the nearest ones.
    """
    named = {font.name.lower(): font for font in among}
    if found := named.get(name.lower()):
        return found
    near = [named[key].name for key in get_close_matches(name.lower(), named, n=3, cutoff=0.5)]
    meant = (
        f"; did you mean {', '.join(near)}?"
        if near
        else f"; there are {listed([f.name for f in named.values()], 5)}"
    )
    raise UsageError(f"there is no font {name!r} here{meant}")


def undrawable(text: str, among: Sequence[Font]) -> str:
    """Why no font draws a text: the characters that none has, or those that no single font has together."""
    missing = set.intersection(*(font.missing(text) for font in among))
    if missing:
        named = listed([f"{c!r} (U+{ord(c):04X})" for c in sorted(missing)], 5)
        package = "fonts-wqy-microhei" if any(ord(c) in _CHINESE for c in missing) else "fonts-noto"
        return f"none of {counted(len(among), 'font')} draws {named}; install one that does ({package})"
    fewest = min(among, key=lambda font: len(font.missing(text)))
    named = listed([repr(c) for c in sorted(fewest.missing(text))], 5)
    return f"no single font draws the whole text: {fewest.name} draws all but {named}; divide the text"


@cache
def _installed() -> tuple[Font, ...]:
    files = {*_fontconfig(), *_packaged(), *(file for folder in _folders() for file in _files(folder))}
    return (*_opened(sorted(files)), BUILT_IN)


def _opened(files: Iterable[Path]) -> tuple[Font, ...]:
    found: list[Font] = []
    broken: list[Path] = []
    for file in files:
        try:
            found += _faces(file)
        except OSError:
            broken.append(file)
    if broken:
        logger.warning("%s not opened, the first: %s", counted(len(broken), "font file"), broken[0])
    return tuple(sorted(found))


def _faces(file: Path) -> Iterator[Font]:
    """The faces in a file. Raises `OSError` for a file that cannot be opened, or scaled."""
    index = 0
    while True:
        try:
            face = ImageFont.truetype(str(file), 20, index, layout_engine=ImageFont.Layout.BASIC)
        except OSError:
            if index == 0:
                raise
            return
        yield Font(" ".join(filter(None, face.getname())), str(file), index)
        index += 1
        if file.suffix.lower() not in (".ttc", ".otc"):
            return


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())


def _folders() -> Iterator[Path]:
    """Where systems keep fonts."""
    home = Path.home()
    if sys.platform == "win32":
        yield Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts"
        yield home / "AppData/Local/Microsoft/Windows/Fonts"
    elif sys.platform == "darwin":
        yield from (Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts")
    else:
        shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
        yield from (Path(folder) / "fonts" for folder in shared.split(":"))
        yield from (home / ".local/share/fonts", home / ".fonts")


def _fontconfig() -> Iterator[Path]:
    """What fontconfig lists, which knows folders of its own."""
    if shutil.which("fc-list") is None:
        return
    listing = subprocess.run(["fc-list", "--format", r"%{file}\n"], capture_output=True, text=True)
    yield from (Path(line) for line in listing.stdout.splitlines() if line.lower().endswith(ENDINGS))


def _packaged() -> Iterator[Path]:
    """Fonts that Python packages carry: those that say so (`font-roboto`), and matplotlib's for text.

    Its others are for formulas: an `a` of cmex10 is a coproduct.
    """
    for group in ("fonts_ttf", "fonts_otf"):
        for entry in entry_points(group=group):
            yield from (Path(file) for file in entry.load().values())
    if (matplotlib := importlib.util.find_spec("matplotlib")) and matplotlib.origin:
        carried = _files(Path(matplotlib.origin).parent / "mpl-data" / "fonts" / "ttf")
        yield from (file for file in carried if file.name.startswith(("DejaVu", "STIXGeneral")))
