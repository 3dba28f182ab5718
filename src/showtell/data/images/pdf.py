"""The pages of PDF files, drawn as images where pypdfium2 is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from showtell.data.images.decode import ImageError, why_no_file

DOTS = 200
"""Per inch: small print is then some 20 pixels high."""
POINTS = 72
"""Per inch, the unit of a page's size."""


def is_pdf(path: Path) -> bool:
    """Whether a file is named as a PDF.

    >>> is_pdf(Path("扫描 1.PDF")), is_pdf(Path("pdf.png"))
    (True, False)
    """
    return path.suffix.lower() == ".pdf"


def pdf_pages(path: Path, max_pixels: int) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """The pages of a PDF, first to last, each as soon as it is drawn.

    A page of more than `max_pixels` at the usual resolution is drawn smaller. Raises `ImageError` for what is
    no PDF, is locked by a password or has no pages, and without pypdfium2.
    """
    try:
        import pypdfium2
    except ImportError:
        raise ImageError(path, "is a PDF, whose pages need pypdfium2: pip install 'showtell[read]'") from None
    if not path.is_file():
        raise ImageError(path, why_no_file(path))
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        locked = "password" in str(error).lower()
        why = "is locked by a password: save a copy without" if locked else f"is not a readable PDF: {error}"
        raise ImageError(path, why) from None
    with document:
        if not len(document):
            raise ImageError(path, "is a PDF without pages")
        for number in range(len(document)):
            try:
                page = document[number]
                width, height = (side * DOTS / POINTS for side in page.get_size())
                shrunk = min(1.0, (max_pixels / max(width * height, 1)) ** 0.5)
                drawn = page.render(scale=shrunk * DOTS / POINTS, rev_byteorder=True)
                yield drawn.to_numpy()[:, :, :3].copy()
            except pypdfium2.PdfiumError as error:
                raise ImageError(path, f"has a damaged page {number + 1}: {error}") from None
