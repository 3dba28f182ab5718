"""Kinds of image files by name, and those that cannot be read here with what they are."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

_READABLE = ".jpg .jpeg .jpe .jfif .png .gif .webp .bmp .tif .tiff .avif .jp2 .pbm .pgm .pnm .ppm"
READABLE = frozenset(_READABLE.split())
_RAW = (
    ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .iiq .kdc .mef .mos .mrw .nef .nrw .orf .pef .raf .raw "
    ".rw2 .rwl .sr2 .srf .srw .x3f"
)
UNREADABLE = {
    **{ending: f"camera raw image ({ending[1:].upper()})" for ending in _RAW.split()},
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIC image"),
    ".jxl": "JPEG XL image",
    **dict.fromkeys((".jxr", ".wdp", ".hdp"), "JPEG XR image"),
    **dict.fromkeys((".psd", ".psb"), "Photoshop document"),
    ".xcf": "GIMP document",
    **dict.fromkeys((".svg", ".svgz"), "SVG drawing"),
    **dict.fromkeys((".ai", ".eps"), "PostScript drawing"),
    **dict.fromkeys((".exr", ".hdr"), "high dynamic range image"),
    **dict.fromkeys((".ico", ".icns"), "set of icons"),
    **dict.fromkeys((".dcm", ".fits"), "scientific image"),
    ".dds": "texture",
    ".pcx": "PCX image",
    ".tga": "TGA image",
    ".qoi": "QOI image",
}
"""Endings of images that are found, so that they are reported as skipped, and what they are."""

# What the first bytes say. TIFF alone says too little: most camera raw files begin as TIFF does.
_SIGNATURE_OF = {
    "HEIC image": rb"....ftyp(hei[cxms]|hev[cx]|mif1|msf1)",
    "JPEG XL image": rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n",
    "JPEG XR image": rb"II\xbc",
    "camera raw image": rb"....ftypcrx |FUJIFILMCCD-RAW|II(RO|RS|U\0)|MMOR|FOVb|II\*\0....CR\x02|\0MRM",
    "Photoshop document": rb"8BPS",
    "GIMP document": rb"gimp xcf",
    "PostScript drawing": rb"%!PS|\xc5\xd0\xd3\xc6",
    "high dynamic range image": rb"v/1\x01|#\?RADIANCE",
    "set of icons": rb"\0\0\x01\0[^\0]|icns",
    "texture": rb"DDS ",
    "QOI image": rb"qoif",
}
_SIGNATURES = {kind: re.compile(signature, re.DOTALL) for kind, signature in _SIGNATURE_OF.items()}
_PHOTOGRAPHS = ("HEIC image", "JPEG XL image", "camera raw image")
_READABLE_SIGNATURE = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBP|II[*+]\0|MM\0[*+]|....ftyp(avif|avis)"
    rb"|\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    re.DOTALL,
)


def is_nameless_image(path: Path) -> bool:
    """Whether a file without an ending begins as an image does; caches and downloads are often so."""
    if path.suffix or path.name.startswith("."):
        return False
    try:
        if not path.is_file():  # opening a pipe would block
            return False
        with path.open("rb") as file:
            start = file.read(64)
    except OSError:
        return False
    return _READABLE_SIGNATURE.match(start) is not None or kind_of(start) in _PHOTOGRAPHS


def kind_of(start: bytes) -> str | None:
    """What cannot be read here, by a file's first bytes; None for anything else."""
    return next((kind for kind, signature in _SIGNATURES.items() if signature.match(start)), None)


def named_kind(name: str) -> str | None:
    """What cannot be read here, by a file's name; None for anything else.

    >>> named_kind("IMG_1.NEF"), named_kind("cat.jpg")
    ('camera raw image (NEF)', None)
    """
    return UNREADABLE.get(PurePath(name).suffix.lower())
