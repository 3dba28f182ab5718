"""Words that a model uses alike."""

from __future__ import annotations

from showtell.pipelines.model import Model, load_model
from showtell.protocols import HasTokenEmbeddings
from showtell.tasks import words
from showtell.tasks.words import WordScore


def similar(word: str, model: Model | None = None, top: int = 10) -> list[WordScore]:
    """The words nearest to a word by cosine, nearest first; without a model, the shipped one.

    Raises `UsageError` for a model without words and for a word it does not know, naming those spelled alike.
    """
    model = model or load_model()
    model.require(HasTokenEmbeddings)
    return words.similar(model.system.token_embeddings(), model.words, word, top)


def analogy(a: str, b: str, c: str, model: Model | None = None, top: int = 10) -> list[WordScore]:
    """`a` is to `b` as `c` is to these words, best first; without a model, the shipped one.

    Raises `UsageError` for a model without words and for a word it does not know, naming those spelled alike.
    """
    model = model or load_model()
    model.require(HasTokenEmbeddings)
    return words.analogy(model.system.token_embeddings(), model.words, a, b, c, top)
