"""Words with similar embeddings."""

from __future__ import annotations

from showtell.pipelines.model import Model, load_model
from showtell.protocols import HasTokenEmbeddings
from showtell.tasks import words
from showtell.tasks.words import WordScore


def similar_words(word: str, model: Model | None = None, top: int = 10) -> list[WordScore]:
    """The words nearest a word by cosine, nearest first; the model defaults to the shipped one.

    Raises `UsageError` for a model without word embeddings, and for a word that it does not know, naming
    similar spellings.
    """
    model = model or load_model()
    model.require(HasTokenEmbeddings)
    return words.similar(model.system.token_embeddings(), model.words, word, top)


def analogy(a: str, b: str, c: str, model: Model | None = None, top: int = 10) -> list[WordScore]:
    """The words that are to `c` as `b` is to `a`, best first; the model defaults to the shipped one.

    Raises as `similar_words`.
    """
    model = model or load_model()
    model.require(HasTokenEmbeddings)
    return words.analogy(model.system.token_embeddings(), model.words, a, b, c, top)
