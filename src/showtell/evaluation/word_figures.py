"""Word embedding figures: neighbours and analogies of everyday words, and published word tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from showtell.errors import UserError
from showtell.protocols import HasTokenEmbeddings
from showtell.tasks.words import analogy, score_analogies, score_similarity, similar

if TYPE_CHECKING:
    from showtell.pipelines.model import Model

NEIGHBOURS = {
    "boy": {"kid", "child", "girl"},
    "two": {"three"},
    "red": {"blue", "green", "yellow", "orange", "purple", "pink", "black", "white", "brown", "gray", "grey"},
}
"""Words, and for each the words of which one at least should be among its ten nearest."""
RELATIONS = (("riding", "sitting", "walking"), ("man", "men", "woman"), ("grass", "green", "sky"))
"""Analogies without their answer: the first is to the second as the third is to ..."""


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
    """Scores of the word tests. Raises `UsageError` for a model whose tokens are not whole words."""
    model.require(HasTokenEmbeddings)
    vectors, figures = model.system.token_embeddings(), {}
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
    """For each word of `NEIGHBOURS` that the model knows, the wanted words among its 10 nearest."""
    vectors, tokenizer = model.system.token_embeddings(), model.words
    return {
        word: [near.word for near in similar(vectors, tokenizer, word, 10) if near.word in wanted]
        for word, wanted in NEIGHBOURS.items()
        if tokenizer.id_of(word) is not None
    }


def relation_figures(model: Model) -> dict[str, list[str]]:
    """The five best answers to each of `RELATIONS` whose three words the model knows."""
    vectors, tokenizer = model.system.token_embeddings(), model.words
    return {
        " ".join(words): [best.word for best in analogy(vectors, tokenizer, *words, top=5)]
        for words in RELATIONS
        if all(tokenizer.id_of(word) is not None for word in words)
    }
