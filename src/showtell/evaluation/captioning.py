"""Caption figures: generated captions against people's, and the perplexity of people's."""

from __future__ import annotations

from collections.abc import Sequence

from showtell.data.captions.entry import Entry
from showtell.data.tokenizers.words import WordTokenizer
from showtell.pipelines.model import Model
from showtell.progress import report
from showtell.protocols import Encoded
from showtell.tasks import metrics
from showtell.tasks.likelihood import negative_log_likelihood

BATCH = 32
"""Images per search."""


def caption_figures(
    model: Model, entries: Sequence[Entry], encoded: Encoded, beam: int, consensus: bool
) -> tuple[list[str], dict[str, float]]:
    """The caption of every image, and its BLEU-1..4, ROUGE-L and CIDEr against people's."""
    captions: list[str] = []
    for first in range(0, len(entries), BATCH):
        found = model.caption_encoded(encoded[first : first + BATCH], beam=beam, consensus=consensus)
        captions += [best.text for best, *_ in found]
        report("captioning", len(captions), len(entries))
    words = WordTokenizer.train([])  # the same words whatever the model's own tokens
    hypotheses = [words.split(text) for text in captions]
    references = [[words.split(text) for text in entry.captions] for entry in entries]
    scores = metrics.bleu(hypotheses, references)
    return captions, {
        **{f"bleu{order}": score for order, score in enumerate(scores, 1)},
        "rouge_l": metrics.rouge_l(hypotheses, references),
        "cider": metrics.cider(hypotheses, references),
    }


def caption_perplexity(model: Model, entries: Sequence[Entry], encoded: Encoded) -> float:
    """Perplexity of people's captions; a word outside the vocabulary counts as the unknown token."""
    total, predictions = 0.0, 0
    for first in range(0, len(entries), BATCH):
        captions = [
            [model.tokenizer.encode(text) for text in entry.captions]
            for entry in entries[first : first + BATCH]
        ]
        some = encoded[first : first + BATCH].to(model.device)
        added, count = negative_log_likelihood(model.system, some, captions)
        total, predictions = total + added, predictions + count
        report("measuring perplexity", min(first + BATCH, len(entries)), len(entries))
    return metrics.perplexity(-total, predictions)
