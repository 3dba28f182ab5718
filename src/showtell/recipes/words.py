"""Words that a model uses alike."""

from __future__ import annotations

from showtell.recipes.model import Model, load_model
from showtell.tasks import words
from showtell.tasks.words import WordScore


def similar(word: str, model: Model | None = None, top: int = 10) -> list[WordScore]:
    """The words nearest to a word by cosine, nearest first; without a model, the shipped one.

    Raises `UsageError`, naming words spelled alike, for a word that the model does not know.
    """
    model = model or load_model()
    return words.similar(model.system.word_vectors(), model.words, word, top)


def analogy(a: str, b: str, c: str, model: Model | None = None, top: int = 10) -> list[WordScore]:
    """`a` is to `b` as `c` is to these words, best first; without a model, the shipped one.

    Raises `UsageError`, naming words spelled alike, for a word that the model does not know.
    """
    model = model or load_model()
    return words.analogy(model.system.word_vectors(), model.words, a, b, c, top)
