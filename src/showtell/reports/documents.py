"""Drawn licences and what the shipped reader of documents says of them, for a demonstration."""

from __future__ import annotations

import io
import json
import logging
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from showtell.data.documents.licences.draw import sample_page
from showtell.errors import MissingError
from showtell.html.maps import ShownImage
from showtell.pipelines.extract import extract
from showtell.writing import write_file

PAGES = ((7, 1), (10, 0))
"""The places and turns of pages whose templates are held out: few, since each takes seconds to read."""
SHOWN = 720
"""Pixels of an image's longer side in the report."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReadDocument:
    """An image of a document and what was read in it."""

    image: ShownImage
    documents: str
    """As JSON."""
    model: str


def drawn_documents(folder: Path) -> list[ReadDocument]:
    """Licences that are drawn into a folder and read there.

    None where a Chinese font, the reader of text or the grammars are not installed; the log says which.
    """
    try:
        paths = []
        for place, turn in PAGES:
            page, _ = sample_page(place, turn, held_out=True)
            paths.append(folder / f"licence-{place}.jpg")
            write_file(paths[-1], _jpeg(page.image))
        found = []
        for one in extract(paths):
            with Image.open(one.path) as image:
                image.thumbnail((SHOWN, SHOWN))
                shown = ShownImage(one.path, _jpeg(image), "drawn licences")
            text = json.dumps(one.documents, ensure_ascii=False, indent=2)
            found.append(ReadDocument(shown, text, one.model))
            logger.info("  %s: %s", Path(one.path).name, json.dumps(one.documents, ensure_ascii=False))
        return found
    except MissingError as error:
        logger.info("no documents are shown: %s", error)
        return []


def _jpeg(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=88)
    return data.getvalue()
