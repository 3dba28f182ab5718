"""Safe decoding of any image file to sRGB pixels, `uint8 [H W 3]`.

Whatever is wrong with a file is an `ImageError` with a plain reason, so a caller can record a skip and go on.
Thread-safe.
"""

from __future__ import annotations

import io
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageCms
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from showtell.data.images.kinds import kind_of, named_kind
from showtell.errors import UserError
from showtell.wording import one_line

MAX_PIXELS = 100_000_000
"""The default limit on the size of an image: decoded, this many pixels take 400 MB."""

# The format is recognised by content, not by name. `Image.open` would apply process-wide limits, import
# every plugin for an unknown file, and run PostScript in an interpreter.
_READERS = [
    (re.compile(signature, re.DOTALL), reader)
    for signature, reader in (
        (rb"\xff\xd8\xff", JpegImageFile),
        (rb"\x89PNG\r\n\x1a\n", PngImageFile),
        (rb"GIF8[79]a", GifImageFile),
        (rb"RIFF....WEBP", WebPImageFile),
        (rb"BM", BmpImageFile),
        (rb"II[*+]\0|MM\0[*+]", TiffImageFile),
        (rb"....ftyp(avif|avis|mif1.{12,}avif)", AvifImageFile),
        (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", Jpeg2KImageFile),
        (rb"P[1-6]\s", PpmImageFile),
    )
]
_DNG_VERSION = 50706  # the tag that tells a DNG, a camera's raw image, from other TIFF files

# EXIF orientation -> the transposition that turns the image upright.
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ImageError(UserError):
    """An image that cannot be read, with the reason."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = Path(path)
        self.reason = reason

    def __str__(self) -> str:
        name = os.fsencode(self.path).decode(errors="replace")
        return f"{one_line(name)}: {self.reason}"


def load_image(path: Path | str, max_pixels: int = MAX_PIXELS, at_least: int | None = None) -> np.ndarray:
    """Decode an image file to `uint8 [H W 3]`.

    Upright by its EXIF, converted to sRGB by its colour profile, 16 bits scaled to 8, transparency on white,
    the first frame of an animation. With `at_least`, a JPEG may be decoded at a half, a quarter or an eighth
    of its size, as long as neither side is below so many pixels. Twice the side that the image is resized to
    afterwards makes no visible difference (44 dB or better; once that side, 35 dB), and decodes 12 megapixels
    four times as fast.

    Raises `ImageError` for anything that is not a readable image of at most `max_pixels`, which is checked
    from the header, before decoding.
    """
    try:
        if not Path(path).is_file() and Path(path).exists():  # opening a pipe would block
            raise ImageError(path, why_no_file(Path(path)))
        with Path(path).open("rb") as file:
            return _read(file, path, max_pixels, at_least)
    except FileNotFoundError:
        raise ImageError(path, why_no_file(Path(path))) from None
    except OSError as error:
        raise ImageError(path, f"cannot be opened: {error.strerror or error}") from None


def why_no_file(path: Path) -> str:
    """Why a path that is no file cannot be read: missing, a folder (open, closed or empty), or a pipe."""
    if not path.exists():
        return "is a link to a file that does not exist" if path.is_symlink() else "does not exist"
    if not path.is_dir():
        return "is not a file"
    try:
        with os.scandir(path) as listed:
            empty = next(listed, None) is None
    except OSError as error:
        return f"is a folder that cannot be listed: {error.strerror or error}; make it readable"
    return "is a folder, not a file, and it is empty" if empty else "is a folder, not a file"


def decode_image(
    data: bytes, name: Path | str, max_pixels: int = MAX_PIXELS, at_least: int | None = None
) -> np.ndarray:
    """`load_image` for an image in memory; `name` is what an error calls it."""
    return _read(io.BytesIO(data), name, max_pixels, at_least)


def _read(file: IO[bytes], name: Path | str, max_pixels: int, at_least: int | None) -> np.ndarray:
    """Recognise the format, check the size, decode, turn upright."""
    start = file.read(64)
    file.seek(0)
    reader = next((reader for signature, reader in _READERS if signature.match(start)), None)
    kind = _unreadable_kind(start, Path(name).name, reader)
    if kind:
        raise ImageError(name, f"is a {kind}, which cannot be read here; save it as JPEG")
    if reader is None:
        raise ImageError(name, _what_instead(start))
    try:
        image = reader(file)
        if isinstance(image, TiffImageFile) and _DNG_VERSION in image.tag_v2:
            raise ImageError(name, "is a camera raw image (DNG), which cannot be read here; save it as JPEG")
        width, height = image.size
        if width * height > max_pixels:
            raise ImageError(
                name,
                f"is {width} x {height}, more than the {max_pixels:,} pixels allowed; make it smaller, or "
                "raise max_pixels (--max-pixels) if you trust it",
            )
        if at_least is not None:
            image.draft(None, (at_least, at_least))
        image.load()
        return pixels_of(image)
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(name, "needs more memory than there is") from None
    except Exception as error:  # what a broken file raises is undocumented and differs by format
        cut = isinstance(error, EOFError) or "truncated" in str(error).lower()
        reason = "is cut short: the end of the file is missing" if cut else f"is damaged: {error}"
        raise ImageError(name, reason) from None


def pixels_of(image: Image.Image) -> np.ndarray:
    """An opened image as `uint8 [H W 3]`: sRGB, upright, transparency on white."""
    pixels = _to_srgb(image)
    upright = _UPRIGHT.get(_orientation(image))
    return np.array(pixels if upright is None else pixels.transpose(upright))


def _unreadable_kind(start: bytes, name: str, reader: type[ImageFile] | None) -> str | None:
    """The kind of a file that cannot be read, by its content or else its name; None for any other.

    A camera's raw image begins as TIFF does; Pillow would show its thumbnail.
    """
    if not start or reader not in (None, TiffImageFile):
        return None
    by_content, by_name = kind_of(start), named_kind(name)
    return by_name if by_name and by_name.startswith(by_content or "") else by_content


def _what_instead(start: bytes) -> str:
    """A description of a file that is not an image."""
    if not start:
        return "is empty"
    if start.startswith(b"%PDF-"):
        return "is a PDF, not an image; `showtell extract` reads the pages of one"
    if start.lstrip()[:1] == b"<":
        return "is not an image: it looks like a web page or SVG"
    readable = "".join(start.decode(errors="ignore").split()).isprintable()
    return "is not an image: it looks like text" if readable else "is not an image of a known format"


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; upright (1) if the EXIF is absent or broken."""
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a broken EXIF block does not spoil the image
        return 1


def _to_srgb(image: Image.Image) -> Image.Image:
    """Any mode to sRGB, transparency on white, by the embedded colour profile if there is one."""
    if image.mode.startswith(("I", "F")):
        return _scaled(image).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        flat = Image.alpha_composite(white, rgba).convert("RGB")
    elif image.mode in ("RGB", "L", "CMYK"):
        flat = image
    else:
        flat = image.convert("RGB")
    profile = image.info.get("icc_profile")
    transform = _profile_transform(profile, flat.mode) if profile else None
    if transform is not None:
        flat = ImageCms.applyTransform(flat, transform) or flat
    return flat if flat.mode == "RGB" else flat.convert("RGB")  # `convert` would copy


def _scaled(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float grey to 8 bits, scaled rather than clipped."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0, neginf=0)
    peak = values.max()
    usual = (65535,) if image.mode.startswith("I;16") else (1, 255, 65535)
    full = next((full for full in usual if peak <= full), peak)
    return Image.fromarray(np.rint(values.clip(0) * (255 / full)).astype(np.uint8))


@lru_cache(maxsize=16)
def _profile_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform from an embedded profile to sRGB; None if it is sRGB already or unusable."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if mode == "RGB" and "sRGB" in ImageCms.getProfileDescription(source):
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError):
        return None
