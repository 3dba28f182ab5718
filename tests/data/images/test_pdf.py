"""PDFs: each page an image, and what is no PDF is said."""

import numpy as np
import pytest
from PIL import Image

from showtell.data.images.decode import ImageError
from showtell.data.images.pdf import pdf_pages


@pytest.fixture
def pages(tmp_path):
    first, second = Image.new("RGB", (300, 200), "white"), Image.new("RGB", (100, 400), (255, 0, 0))
    first.paste((0, 0, 0), (0, 0, 150, 200))
    first.save(tmp_path / "two.pdf", save_all=True, append_images=[second], resolution=100)
    return tmp_path / "two.pdf"


def test_pages_are_drawn_at_200_dots_an_inch_in_order(pages) -> None:
    pytest.importorskip("pypdfium2")
    first, second = pdf_pages(pages, 10**8)
    assert (first.shape, first.dtype) == ((400, 600, 3), np.uint8)
    assert first[200, 100].max() < 10
    assert first[200, 500].min() > 245
    assert second.shape == (800, 200, 3)
    assert second[400, 100].tolist() == pytest.approx([255, 0, 0], abs=5)
    small, _ = pdf_pages(pages, 60_000)
    assert small.shape[:2] == (200, 300)


def test_what_is_no_pdf_is_named(pages, tmp_path) -> None:
    pytest.importorskip("pypdfium2")
    (tmp_path / "text.pdf").write_text("no PDF")
    with pytest.raises(ImageError, match=r"text\.pdf: is not a readable PDF"):
        next(pdf_pages(tmp_path / "text.pdf", 10**8))
    with pytest.raises(ImageError, match=r"gone\.pdf: does not exist"):
        next(pdf_pages(tmp_path / "gone.pdf", 10**8))


def test_without_the_package_the_command_is_named(pages, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pypdfium2", None)
    with pytest.raises(ImageError, match=r"pip install 'showtell\[read\]'"):
        next(pdf_pages(pages, 10**8))
