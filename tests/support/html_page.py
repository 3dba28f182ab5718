"""A page as a browser reads it, for the tests of what it shows and what it would load."""

import io
from html.parser import HTMLParser

from PIL import Image

HOSTILE = """</script><img src=x onerror=alert(1)> "狗" & 'cat' </li>"""


def jpeg(colour, size=(64, 48)):
    """A JPEG of one colour."""
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG", quality=95)
    return out.getvalue()


class Page(HTMLParser):
    """Every element with its attributes, and the text outside of style and script."""

    VOID = {"meta", "img", "input"}

    def __init__(self, html):
        super().__init__()
        self.elements, self.text, self.open = [], "", []
        self.feed(html)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (["style"], ["script"]):
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]
