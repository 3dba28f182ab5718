"""Every figure of a captioner on one split: its captions, its searches, its words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from showtell.data.image import ImageError
from showtell.data.sources.detect import read
from showtell.data.sources.entry import Entry
from showtell.errors import UserError
from showtell.library.text import caption_scores
from showtell.protocols import Encoded
from showtell.recipes.search import ENGINES
from showtell.recipes.splits import divide
from showtell.tasks import metrics
from showtell.tasks.invert import Prior, invert, nearest
from showtell.tasks.perplexity import nats
from showtell.tasks.retrieve import likelihood
from showtell.tasks.words import analogy, score_analogies, score_similarity, similar

if TYPE_CHECKING:
    from showtell.recipes.model import Model

BATCH = 32
NEIGHBOURS = {
    "boy": {"kid", "child", "girl"},
    "two": {"three"},
    "red": {"blue", "green", "yellow", "orange", "purple", "pink", "black", "white", "brown", "gray", "grey"},
}
"""Words with those of which at least one belongs among their ten nearest."""
RELATIONS = (("riding", "sitting", "walking"), ("man", "men", "woman"), ("grass", "green", "sky"))
"""The first is to the second as the third is to what?"""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def evaluate(
    model: Model,
    data: Path,
    split: str = "val",
    *,
    format: str | None = None,
    engines: Sequence[str] = ENGINES,
    queries: int = 1000,
    beam: int = 5,
    words: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure a captioner on the pictures of `data` that are in `split`.

    Captions: BLEU-1..4, ROUGE-L, CIDEr against all of a picture's captions; perplexity. Searches: R@1/5/10
    and median rank, with the first caption of each of the first `queries` pictures as the query among
    all pictures. Words: near neighbours and analogies of everyday words; with a folder that holds
    `questions-words.txt` or `wordsim353.tsv`, its scores.
    """
    tell = progress or (lambda *_: None)
    # First, as they are soon done: a file that is wrong is found before minutes of work.
    tested = {} if words is None else {"words": word_figures(model, read_word_tests(words))}
    source = read(data, format)
    splits = divide(source.entries)
    entries = splits.get(split, [])
    if not entries:
        found = ", ".join(sorted(splits)) or "none"
        raise UserError(f"{data} has no captioned picture in the split {split!r}; it has {found}")
    entries, encoded, unreadable = encode_entries(model, entries, tell)
    figures: dict[str, Any] = {
        "model": model.name,
        "split": split,
        "pictures": len(entries),
        "unreadable": unreadable,
    }
    said, figures["captions"] = caption_figures(model, entries, encoded, beam, tell)
    figures["perplexity"] = caption_perplexity(model, entries, encoded)
    figures["search"] = {
        engine: search_figures(model, entries, encoded, said, engine, queries, tell) for engine in engines
    }
    figures["neighbours"] = neighbour_figures(model)
    figures["relations"] = relation_figures(model)
    return {**figures, **tested}


def encode_entries(
    model: Model, entries: Sequence[Entry], tell: Progress
) -> tuple[list[Entry], Encoded, list[str]]:
    """The pictures that can be read, all of them encoded, and the names of the others."""
    readable, unreadable, parts = [], [], []
    for first in range(0, len(entries), BATCH):
        pictures = []
        for entry in entries[first : first + BATCH]:
            try:
                pictures.append(model.read(entry.path))
                readable.append(entry)
            except ImageError as error:
                unreadable.append(f"{entry.path}: {error.reason}")
        if pictures:
            parts.append(model.encode(pictures))
        tell("encoding pictures", min(first + BATCH, len(entries)), len(entries))
    if not parts:
        raise UserError(f"none of the {len(entries)} pictures can be read; the first: {unreadable[0]}")
    encoded = Encoded(torch.cat([p.tokens for p in parts]), torch.cat([p.pooled for p in parts]))
    return readable, encoded, unreadable


def caption_figures(
    model: Model, entries: Sequence[Entry], encoded: Encoded, beam: int, tell: Progress
) -> tuple[list[str], dict[str, float]]:
    """The caption of every picture, and how it compares with people's."""
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
        total, count = nats(model.system, model.place(some), captions)
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
    """Where the described picture comes among all, for one engine."""
    texts = [entry.captions[0] for entry in entries[:queries]]
    started = time.perf_counter()
    scores = np.stack(list(_scores(model, encoded, said, engine, texts, tell)))
    seconds = time.perf_counter() - started
    ranks = metrics.ranks(scores, range(len(texts)))
    return {
        **{f"recall{k}": value for k, value in metrics.recall(ranks).items()},
        "median_rank": metrics.median_rank(ranks),
        "queries": len(texts),
        "pictures": len(entries),
        "milliseconds": 1000 * seconds / len(texts),
    }


def _scores(
    model: Model, encoded: Encoded, said: Sequence[str], engine: str, texts: Sequence[str], tell: Progress
) -> Iterator[np.ndarray]:
    """A row of scores a query, each `[N]`, higher is better."""
    ids = [model.tokenizer.encode(text) for text in texts]
    encoded = model.place(encoded)
    if engine == "likelihood":
        with torch.inference_mode():
            memory = model.system.remember(encoded)
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


def read_word_tests(folder: Path) -> dict[str, list[str]]:
    """The lines of the word tests that the folder holds."""
    files = {"analogies": folder / "questions-words.txt", "wordsim353": folder / "wordsim353.tsv"}
    tests = {
        name: file.read_text("utf-8", errors="replace").splitlines()
        for name, file in files.items()
        if file.is_file()
    }
    if not tests:
        raise UserError(f"{folder} holds neither questions-words.txt nor wordsim353.tsv")
    return tests


def word_figures(model: Model, tests: dict[str, list[str]]) -> dict[str, Any]:
    """Scores of the word tests."""
    vectors, figures = model.system.word_vectors(), {}
    if "analogies" in tests:
        score = score_analogies(vectors, model.words, tests["analogies"])["all"]
        figures["analogies"] = {"accuracy": score.accuracy, "covered": score.covered, "total": score.total}
    if "wordsim353" in tests:
        similarity = score_similarity(vectors, model.words, tests["wordsim353"])
        figures["wordsim353"] = {
            "spearman": similarity.spearman,
            "covered": similarity.covered,
            "total": similarity.total,
        }
    return figures


def neighbour_figures(model: Model) -> dict[str, list[str]]:
    """Of each word of `NEIGHBOURS` that the model knows, which wanted ones are among its 10 nearest."""
    vectors, tokenizer = model.system.word_vectors(), model.words
    return {
        word: [near.word for near in similar(vectors, tokenizer, word, 10) if near.word in wanted]
        for word, wanted in NEIGHBOURS.items()
        if tokenizer.id_of(word) is not None
    }


def relation_figures(model: Model) -> dict[str, list[str]]:
    """The five best answers to each of `RELATIONS` whose three words the model knows."""
    vectors, tokenizer = model.system.word_vectors(), model.words
    return {
        " ".join(asked): [best.word for best in analogy(vectors, tokenizer, *asked, top=5)]
        for asked in RELATIONS
        if all(tokenizer.id_of(word) is not None for word in asked)
    }
