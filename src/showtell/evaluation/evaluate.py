"""Every figure of a model on one split: its captions, its searches, its words, as far as it has them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from showtell.data.captions.entry import Entry
from showtell.data.captions.read import read_captions
from showtell.data.images.decode import ImageError
from showtell.data.tokenizers.words import WordTokenizer
from showtell.datasets.captions import divide
from showtell.errors import UserError
from showtell.evaluation.word_figures import (
    neighbour_figures,
    read_word_tests,
    relation_figures,
    word_figures,
)
from showtell.library.text import caption_scores
from showtell.pipelines.search import ENGINES, engines_of
from showtell.protocols import Captioner, Encoded, HasTokenEmbeddings, TextEncoder
from showtell.tasks import metrics
from showtell.tasks.inversion import Prior, invert, nearest
from showtell.tasks.likelihood import likelihood, negative_log_likelihood
from showtell.tasks.retrieval import ranks_both_ways

if TYPE_CHECKING:
    from showtell.pipelines.model import Model

BATCH = 32
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def evaluate(
    model: Model,
    data: Path,
    split: str = "val",
    *,
    format: str | None = None,
    engines: Sequence[str] | None = None,
    queries: int = 1000,
    beam: int = 5,
    words: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure a captioner or a dual encoder on the images of `data` that are in `split`.

    Captions: BLEU-1..4, ROUGE-L, CIDEr against all of an image's captions; perplexity. Searches: R@1/5/10
    and median rank, with the first caption of each of the first `queries` images as the query among
    all images, for each engine that the model can answer, or the named ones. Retrieval by a dual encoder:
    the same of all captions among all images, and of all images among all captions, any of an image's
    own counting. Words: near neighbours and analogies of everyday words; with a folder that holds
    `questions-words.txt` or `wordsim353.tsv`, its scores.

    Raises `UsageError` for an engine that the model cannot answer, and for a model that can answer none.
    """
    tell = progress or (lambda *_: None)
    engines = engines_of(model) if engines is None else engines
    for engine in engines:
        model.require(*ENGINES[engine])
    # First, as they are soon done: a file that is wrong is found before minutes of work.
    tested = {} if words is None else {"words": word_figures(model, read_word_tests(words))}
    source = read_captions(data, format)
    splits = divide(source.entries)
    entries = splits.get(split, [])
    if not entries:
        found = ", ".join(sorted(splits)) or "none"
        raise UserError(f"{data} has no captioned image in the split {split!r}; it has {found}")
    entries, encoded, unreadable = encode_entries(model, entries, tell)
    figures: dict[str, Any] = {
        "model": model.name,
        "split": split,
        "images": len(entries),
        "unreadable": unreadable,
    }
    said: list[str] = []
    if model.can(Captioner):
        said, figures["captions"] = caption_figures(model, entries, encoded, beam, tell)
        figures["perplexity"] = caption_perplexity(model, entries, encoded)
    figures["search"] = {
        engine: search_figures(model, entries, encoded, said, engine, queries, tell) for engine in engines
    }
    if model.can(TextEncoder):
        figures["retrieval"] = retrieval_figures(model, entries, encoded)
    if model.can(HasTokenEmbeddings) and isinstance(model.tokenizer, WordTokenizer):
        figures["neighbours"] = neighbour_figures(model)
        figures["relations"] = relation_figures(model)
    return {**figures, **tested}


def encode_entries(
    model: Model, entries: Sequence[Entry], tell: Progress
) -> tuple[list[Entry], Encoded, list[str]]:
    """The images that can be read, all of them encoded, and the names of the others."""
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
            parts.append(model.encode(images))
        tell("encoding images", min(first + BATCH, len(entries)), len(entries))
    if not parts:
        raise UserError(f"none of the {len(entries)} images can be read; the first: {unreadable[0]}")
    encoded = Encoded(torch.cat([p.tokens for p in parts]), torch.cat([p.pooled for p in parts]))
    return readable, encoded, unreadable


def caption_figures(
    model: Model, entries: Sequence[Entry], encoded: Encoded, beam: int, tell: Progress
) -> tuple[list[str], dict[str, float]]:
    """The caption of every image, and how it compares with people's."""
    said: list[str] = []
    for first in range(0, len(entries), BATCH):
        some = Encoded(encoded.tokens[first : first + BATCH], encoded.pooled[first : first + BATCH])
        said += [best.text for best, *_ in model.tell(some, beam=beam)]
        tell("captioning", len(said), len(entries))
    hypotheses = [text.split() for text in said]
    references = [[model.words.split(text) for text in entry.captions] for entry in entries]
    scores = metrics.bleu(hypotheses, references)
    return said, {
        **{f"bleu{order}": score for order, score in enumerate(scores, 1)},
        "rouge_l": metrics.rouge_l(hypotheses, references),
        "cider": metrics.cider(hypotheses, references),
    }


def caption_perplexity(model: Model, entries: Sequence[Entry], encoded: Encoded) -> float:
    """Of people's captions; a word outside the vocabulary counts as the unknown word."""
    surprise, predictions = 0.0, 0
    for first in range(0, len(entries), BATCH):
        some = Encoded(encoded.tokens[first : first + BATCH], encoded.pooled[first : first + BATCH])
        captions = [
            [model.tokenizer.encode(text) for text in entry.captions]
            for entry in entries[first : first + BATCH]
        ]
        total, count = negative_log_likelihood(model.system, model.place(some), captions)
        surprise, predictions = surprise + total, predictions + count
    return metrics.perplexity(-surprise, predictions)


def search_figures(
    model: Model,
    entries: Sequence[Entry],
    encoded: Encoded,
    said: Sequence[str],
    engine: str,
    queries: int,
    tell: Progress,
) -> dict[str, float]:
    """Where the described image comes among all, for one engine."""
    texts = [entry.captions[0] for entry in entries[:queries]]
    started = time.perf_counter()
    scores = np.stack(list(_scores(model, encoded, said, engine, texts, tell)))
    seconds = time.perf_counter() - started
    return {
        **_places(metrics.ranks(scores, range(len(texts)))),
        "queries": len(texts),
        "images": len(entries),
        "milliseconds": 1000 * seconds / len(texts),
    }


def retrieval_figures(
    model: Model, entries: Sequence[Entry], encoded: Encoded
) -> dict[str, dict[str, float]]:
    """Where the image of each caption comes among all, and where the best caption of each image does."""
    texts = [text for entry in entries for text in entry.captions]
    owner = torch.tensor([place for place, entry in enumerate(entries) for _ in entry.captions])
    of_texts, of_images = ranks_both_ways(encoded.pooled, model.encode_texts(texts), owner)
    amounts = {"texts": len(texts), "images": len(entries)}
    return {
        "text_to_image": {**_places(of_texts), **amounts},
        "image_to_text": {**_places(of_images), **amounts},
    }


def _places(ranks: np.ndarray) -> dict[str, float]:
    recalls = {f"recall{k}": value for k, value in metrics.recall(ranks).items()}
    return {**recalls, "median_rank": metrics.median_rank(ranks)}


def _scores(
    model: Model, encoded: Encoded, said: Sequence[str], engine: str, texts: Sequence[str], tell: Progress
) -> Iterator[np.ndarray]:
    """A row of scores a query, each `[N]`, higher is better."""
    if engine == "dot":
        images = F.normalize(encoded.pooled, dim=-1)
        for text in texts:
            yield (images @ F.normalize(model.encode_texts([text])[0], dim=-1)).numpy()
        return
    ids = [model.tokenizer.encode(text) for text in texts]
    encoded = model.place(encoded)
    if engine == "likelihood":
        with torch.inference_mode():
            memory = model.system.prefill(encoded)
        for place, query in enumerate(ids):
            yield likelihood(model.system, query, memory).numpy()
            tell("searching by likelihood", place + 1, len(ids))
    elif engine == "inversion":
        prior = Prior.of(encoded.pooled)
        for first in range(0, len(ids), BATCH):
            for inversion in invert(model.system, ids[first : first + BATCH], prior):
                yield nearest(inversion, encoded.pooled).cpu().numpy()
            tell("searching by inversion", min(first + BATCH, len(ids)), len(ids))
    else:
        yield from caption_scores(said, texts)
