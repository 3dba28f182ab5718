"""Images of requests: `data:` URLs alone, so that no one can make the server fetch anything."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence

import numpy as np

from showtell.data.images.decode import decode_image
from showtell.serve.errors import invalid

MAX_PIXELS = 50_000_000
MAX_IMAGES = 8
"""Of a conversation."""
_DATA = re.compile(r"data:image/[\w.+-]+;base64,", re.ASCII | re.IGNORECASE)


def is_image(text: str) -> bool:
    """Whether a text is an image as a `data:` URL.

    >>> is_image("data:image/png;base64,iVBOR"), is_image("DATA:IMAGE/PNG;BASE64,iVBOR"), is_image("data")
    (True, True, False)
    """
    return _DATA.match(text) is not None


def pixels_of(url: str, param: str) -> np.ndarray:
    """The image in a `data:` URL, `uint8 [H W 3]`.

    Raises `APIError` for another URL, `ImageError` for what is no image of at most 50 megapixels.
    """
    head = _DATA.match(url)
    if head is None:
        raise invalid(
            "images come as data:image/...;base64, URLs: this server fetches nothing",
            param,
            "image_url_not_allowed",
        )
    try:
        data = base64.b64decode(url[head.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise invalid("the base64 of the image is damaged", param, "invalid_image") from None
    return decode_image(data, param, MAX_PIXELS)


def images_of(urls: Sequence[str]) -> Iterator[np.ndarray]:
    """The images of a conversation, each decoded when the one before is done with.

    Raises as `pixels_of`, and `APIError` for too many.
    """
    if len(urls) > MAX_IMAGES:
        message = f"{len(urls)} images; a request has at most {MAX_IMAGES}"
        raise invalid(message, "messages", "too_many_images")
    for url in urls:
        yield pixels_of(url, "messages")
