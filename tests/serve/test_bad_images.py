"""Images that a captioner does not take: each refused with the limit, before it takes memory."""

import base64
import io
import struct
import zlib

import httpx
import pytest
from PIL import Image

from serve.conftest import KEY, data_url
from support.memory import peak_of

LARGE = 20_000
"""The sides of an image of 400 megapixels."""
MOST = 64
"""MiB above where the process stood; the image decoded would take 381 as grey and 1,144 as colours."""


def png(width: int, height: int) -> bytes:
    """A black image with one bit per pixel, every row of it there."""
    rows = zlib.compress(bytes((1 + -(-width // 8)) * height))
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")]
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def as_url(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def chat(*urls: str) -> dict:
    images = [{"type": "image_url", "image_url": {"url": one}} for one in urls]
    return {"model": "captioner", "messages": [{"role": "user", "content": images}]}


@pytest.fixture
def post(url):
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60) as http:

        def ask(route: str, body: dict) -> tuple[int, dict]:
            answer = http.post(f"/v1/{route}", json=body)
            return answer.status_code, answer.json()

        yield ask


def test_an_image_of_400_megapixels_is_refused_by_its_header(post) -> None:
    url = as_url(png(LARGE, LARGE))
    assert len(url) < 100_000
    with Image.open(io.BytesIO(png(64, 64))) as small:
        small.load()  # what `png` writes is an image
    for route, body in (("chat/completions", chat(url)), ("captions", {"image": url})):
        (status, answer), grown = peak_of(lambda route=route, body=body: post(route, body))
        assert (status, answer["error"]["code"]) == (400, "invalid_image"), answer
        assert "20000 x 20000, more than the 50,000,000 pixels allowed" in answer["error"]["message"]
        assert grown is None or grown < MOST


@pytest.mark.parametrize("size", [(1, 30_000), (30_000, 1)])
def test_a_strip_is_captioned(post, size) -> None:
    url = as_url(png(*size))
    post("captions", {"image": data_url("red")})
    for route, body in (("chat/completions", chat(url)), ("captions", {"image": url})):
        (status, answer), grown = peak_of(lambda route=route, body=body: post(route, body))
        assert status == 200, answer
        assert grown is None or grown < MOST


def test_thirty_images_are_one_too_many(post) -> None:
    status, answer = post("chat/completions", chat(*[data_url("red")] * 30))
    assert (status, answer["error"]["param"]) == (400, "messages"), answer
    assert "send one image" in answer["error"]["message"]
    status, answer = post("captions", {"image": [data_url("red")] * 30})
    assert (status, answer["error"]["param"]) == (400, "image"), answer
