"""Masked words guessed: by readers of pixels, and by one of tokens, the same words.

    python benchmarks/masked_words.py RUN [RUN ...] --bert MODEL --data TEXTS [--count 400]

Each RUN is the output of `showtell train vlp_mini --data TEXTS`, MODEL that of `showtell train bert_mini` on
the same TEXTS, which are divided alike. Of held-out texts 15 % of the words are masked whole. A word is
guessed where it has tokens and each is the first choice: by a reader of pixels after the true tokens before
it, by one of tokens at its masks; both see one mask for each of their own tokens. Case counts for readers of
pixels; `bert_mini` has none. Standard errors are those of a share.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from showtell.data.batch import Batch, TextBatch, pad
from showtell.data.images.page import Page
from showtell.data.images.render.fonts import fonts
from showtell.data.images.render.style import SMALL
from showtell.datasets.rendered_texts import RenderedTexts, Rendering, divide_fonts
from showtell.datasets.texts import read_texts
from showtell.pipelines.model import Model, load_model
from table import command, table

CHUNK = 16


class Word(NamedTuple):
    """A masked word: its text, and where it stands."""

    text: int
    start: int
    end: int


@torch.inference_mode()
def by_pixels(model: Model, texts: RenderedTexts, chosen: Sequence[int]) -> dict[Word, bool]:
    """Whether each masked word is guessed; which words are masked is that of the drawing."""
    found: dict[Word, bool] = {}
    for first in range(0, len(chosen), CHUNK):
        items = chosen[first : first + CHUNK]
        batch = texts.batch(items, (first,)).to(model.device)
        ids, keep = batch.texts.ids, batch.texts.keep
        memory = model.system.prefill(model.system.encode_images(batch))
        logits = model.system.teacher_forced_logits(memory, torch.arange(len(ids)), ids, keep)
        right = torch.zeros(ids.shape, dtype=torch.bool)
        right[:, 1:][keep[:, 1:]] = logits.argmax(1) == ids[:, 1:][keep[:, 1:]]
        for row, item in enumerate(items):
            pieces = texts.tokenizer.pieces(texts.texts[item])
            hidden = batch.targets.masked[row, 1 : 1 + len(pieces.ids)].tolist()
            hits = right[row, 1 : 1 + len(pieces.ids)].tolist()
            for group in {group for group, masked in zip(pieces.groups, hidden, strict=True) if masked}:
                own = [place for place, other in enumerate(pieces.groups) if other == group]
                word = Word(item, pieces.offsets[own[0]][0], pieces.offsets[own[-1]][1])
                found[word] = all(hits[place] for place in own)
    return found


@torch.inference_mode()
def by_tokens(model: Model, texts: Sequence[str], words: Sequence[Word]) -> dict[Word, bool]:
    """Whether each of these words is guessed where all of its text are masked."""
    found: dict[Word, bool] = {}
    for text in sorted({word.text for word in words}):
        own = [word for word in words if word.text == text]
        pieces = model.tokenizer.pieces(texts[text])
        before, after = model.tokenizer.encode("")[:1], model.tokenizer.encode("")[1:]
        ids, keep = pad([[*before, *pieces.ids, *after]], model.tokenizer.pad)
        of_word = {
            word: [
                len(before) + place
                for place, (start, end) in enumerate(pieces.offsets)
                if start < word.end and end > word.start
            ]
            for word in own
        }
        masked = ids.clone()
        masked[0, [place for places in of_word.values() for place in places]] = model.system.config.mask_id
        tokens = model.system.encode_texts(Batch(texts=TextBatch(masked, keep))).tokens
        hits = (model.system.masked_token_logits(tokens[0]).argmax(1) == ids[0]).tolist()
        # A word without a token, such as a letter that the vocabulary drops, has nothing to guess it by.
        found |= {word: bool(places) and all(hits[i] for i in places) for word, places in of_word.items()}
    return found


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--bert", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=400)
    options = parser.parse_args()
    documents, seen = [*read_texts(options.data).validation], divide_fonts(fonts())[0]
    command()
    rows, drawn = [], None
    words: list[Word] = []

    def row(name: str, right: Sequence[bool]) -> None:
        share = float(np.mean(right))
        rows.append([name, f"{share:.3f}", f"{(share * (1 - share) / len(right)) ** 0.5:.3f}", len(right)])

    for path in options.runs:
        model = load_model(path, "cpu")
        page = model.image_input.prepare
        assert isinstance(page, Page)
        how = Rendering(SMALL, (page.height, page.width), 0.15, whole_words=True, inverted=0.0, page=page)
        drawn = RenderedTexts(documents, model.tokenizer, how, seen)
        chosen = np.linspace(0, len(drawn) - 1, min(len(drawn), options.count)).astype(int).tolist()
        found = by_pixels(model, drawn, chosen)
        if words and words != list(found):
            raise SystemExit(f"{path} has another vocabulary than {options.runs[0]}: it masks other words")
        words = list(found)
        row(model.name, list(found.values()))
    assert drawn is not None
    model = load_model(options.bert, "cpu")
    row(model.name, list(by_tokens(model, drawn.texts, words).values()))
    spelt = Counter(drawn.texts[word.text][word.start : word.end].strip().casefold() for word in words)
    most = spelt.most_common(1)[0][1]
    row("always the most frequent word", [place < most for place in range(len(words))])
    table(["reader", "words guessed", "standard error", "masked words"], rows)


if __name__ == "__main__":
    main()
