"""All figures of a model on one split: captions, search, retrieval, words, as far as it supports them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from showtell.data.captions.entry import Entry
from showtell.data.captions.read import read_captions
from showtell.data.documents.labelled import holds_documents
from showtell.data.images.decode import ImageError
from showtell.data.qa.read import found_format
from showtell.data.tokenizers.words import WordTokenizer
from showtell.datasets.captions import of_split
from showtell.datasets.cuts import Cuts
from showtell.errors import UserError
from showtell.evaluation.captioning import caption_figures, caption_perplexity
from showtell.evaluation.documents import document_evaluation
from showtell.evaluation.image_answers import image_answer_figures
from showtell.evaluation.retrieval import EncodedImages, retrieval_figures, search_figures
from showtell.evaluation.word_figures import (
    neighbour_figures,
    read_word_tests,
    relation_figures,
    word_figures,
)
from showtell.pairing import AnswerWriter, ImageReader, PairAnswerer
from showtell.pipelines.engine import engines_of, require_engine
from showtell.pipelines.model import Model
from showtell.pipelines.tags import sights
from showtell.progress import report
from showtell.protocols import Captioner, Encoded, HasTokenEmbeddings, SharedSpace
from showtell.tasks.caption import BEAM

logger = logging.getLogger(__name__)

BATCH = 32
"""Images per forward pass."""


def evaluate(
    model: Model,
    data: Path | str,
    split: str = "val",
    *,
    format: str | None = None,
    engines: Sequence[str] | None = None,
    queries: int = 1000,
    beam: int = BEAM,
    consensus: bool = True,
    words: Path | None = None,
    strict: bool = False,
) -> dict[str, Any]:
    """Figures of a captioner or a dual encoder on the images of `data` that are in `split`.

    Captions: BLEU-1..4, ROUGE-L, CIDEr against all captions of an image; perplexity. Search: R@1/5/10 and
    median rank of the image that a query describes, among all images; the queries are the first captions of
    the first `queries` images, the engines those that the model supports, or the named ones. Retrieval with a
    dual encoder: the same for all captions among all images, and for all images among all captions, where any
    of an image's own captions counts. Words: neighbours and analogies of everyday words, and, with a folder
    that holds `questions-words.txt` or `wordsim353.tsv`, the scores of these tests.

    Captions longer than the model reads are cut, with one warning, and counted as `cut`.

    Raises `UserError` with `strict` for a caption to cut, `UsageError` for an engine that the model does not
    support, and for a model that supports none.

    Of a model that answers questions about images, the accuracy of its answers; of a language model that
    reads images, where `data` holds such questions. On labelled documents, `document_evaluation`.
    """
    data = Path(data)
    if holds_documents(data):
        return document_evaluation(model, data, split)
    asked = model.can(ImageReader) and found_format(data) is not None
    if asked or model.can(PairAnswerer) or model.can(AnswerWriter):
        return image_answer_figures(model, data, split, format, strict)
    engines = engines_of(model) if engines is None else engines
    for engine in engines:
        require_engine(engine, model)
    # First, as it is soon done: a wrong file is found before minutes of work.
    tested = {} if words is None else {"words": word_figures(model, read_word_tests(words))}
    entries = of_split(data, read_captions(data, format), split)
    cut = _count_cuts(model, entries, strict)
    entries, encoded, unreadable = encode_entries(model, entries)
    if len(entries) == 1:
        logger.warning("one captioned image in the split %r: any model finds it", split)
    figures: dict[str, Any] = {
        "model": model.name,
        "split": split,
        "images": len(entries),
        "unreadable": unreadable,
        "cut": cut,
    }
    captions: list[str] = []
    if model.can(Captioner):
        captions, figures["captions"] = caption_figures(model, entries, encoded, beam, consensus)
        figures["perplexity"] = caption_perplexity(model, entries, encoded)
    paths = [entry.path for entry in entries]
    images = EncodedImages(paths, encoded, captions, sights(model, encoded))
    figures["search"] = {
        engine: search_figures(model, entries, images, engine, queries) for engine in engines
    }
    if model.can(SharedSpace):
        figures["retrieval"] = retrieval_figures(model, entries, encoded)
    if model.can(HasTokenEmbeddings) and isinstance(model.tokenizer, WordTokenizer):
        figures["neighbours"] = neighbour_figures(model)
        figures["relations"] = relation_figures(model)
    return {**figures, **tested}


def _count_cuts(model: Model, entries: Sequence[Entry], strict: bool) -> int:
    """How many captions are longer than the model reads: said once, whatever they are read for."""
    cuts = Cuts(model.max_length, f"{model.name} reads", "caption", strict)
    if model.max_length is not None:
        for text in (text for entry in entries for text in entry.captions):
            cuts.encode(model.tokenizer, text)
    cuts.log()
    return cuts.count


def encode_entries(model: Model, entries: Sequence[Entry]) -> tuple[list[Entry], Encoded, list[str]]:
    """The entries with readable images, those images encoded (on the CPU), and why others were skipped."""
    readable, unreadable, parts = [], [], []
    for first in range(0, len(entries), BATCH):
        images = []
        for entry in entries[first : first + BATCH]:
            try:
                images.append(model.read(entry.path))
                readable.append(entry)
            except ImageError as error:
                unreadable.append(f"{entry.path}: {error.reason}")
        if images:
            parts.append(model.encode(images).to("cpu"))
        report("encoding images", min(first + BATCH, len(entries)), len(entries))
    if not parts:
        raise UserError(f"none of the {len(entries)} images can be read; the first: {unreadable[0]}")
    features = [part.features for part in parts if part.features is not None]
    encoded = Encoded(
        torch.cat([part.tokens for part in parts]),
        torch.cat([part.pooled for part in parts]),
        features=torch.cat(features) if features else None,
    )
    return readable, encoded, unreadable
