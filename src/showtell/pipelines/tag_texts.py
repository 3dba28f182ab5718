"""Words of texts, tagged by a model that reads them as tokens, or as images that are drawn."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from showtell.data.images.render.layout import UNSPACED
from showtell.data.qa.examples import Tagged
from showtell.data.tokenizers.wellformed import wellformed
from showtell.datasets.tagged_tokens import TaggedRows
from showtell.datasets.text_inputs import Drawn
from showtell.errors import UsageError, UserError
from showtell.pipelines.classify_texts import text_input
from showtell.pipelines.model import Model
from showtell.tasks.tagging import Tagger, word_tags

_LETTERS = rf"[^\W{UNSPACED}]+"
_WORD = re.compile(rf"[{UNSPACED}]|{_LETTERS}(?:['’.\-]{_LETTERS})*|[^\w\s]")
"""A character of a script without spaces, a word with the signs inside it, or another sign."""


@dataclass(frozen=True)
class TaggedWord:
    """A word or sign of a text."""

    text: str
    tag: str | None
    """None for a word that the model's vocabulary has no token of."""
    probability: float | None


@dataclass(frozen=True)
class TaggedText:
    """A text with a tag for each of its words."""

    text: str
    tokens: list[TaggedWord]
    model: str
    """Name of the model."""


def tag_texts(texts: Iterable[str], model: Model) -> Iterator[TaggedText]:
    """The tag of each word of some texts: a part of speech, or a kind of name, as the model was trained.

    Signs are words of their own. A text that is longer than the model reads is tagged in parts.

    Raises `UsageError` for a model that does not tag, `UserError` for an empty text, or one that no font
    draws, where it is drawn.

    Example::

        for one in tag_texts(["Ann lives in Paris."], load_model("run")):
            print([(token.text, token.tag) for token in one.tokens])
    """
    if not isinstance(model.system, Tagger) or not model.system.class_names:
        raise UsageError(
            f"the model {model.name} has no tags of words; train one with showtell train tag_bert"
        )
    given = text_input(model)
    reader = TaggedRows(given, model.system.class_names, given.limit - (0 if isinstance(given, Drawn) else 2))
    for text in texts:
        words = tuple(_WORD.findall(wellformed(text)))
        if not words:
            raise UserError(f"the text {text[:40]!r} has no word; give one with letters")
        found = [*_tagged(words, model, reader)]
        yield TaggedText(
            text, [TaggedWord(word, *pair) for word, pair in zip(words, found, strict=True)], model.name
        )


def _tagged(
    words: tuple[str, ...], model: Model, reader: TaggedRows
) -> Iterator[tuple[str, float] | tuple[None, None]]:
    """The tag and probability of each word, part after part."""
    for part in reader.parts(Tagged(words, ())):
        row, _ = reader.prepare(part)
        batch = reader.batch([row], (0,)).to(model.device)
        places = [place + 1 if place >= 0 else -1 for place in row.first]
        yield from (pair or (None, None) for pair in word_tags(model.system, batch, places))
