"""The model card of a language model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from showtell.checkpoint.card import model_card

MEANING = {
    "loss": "nats a token that was to be guessed",
    "accuracy": "share of hidden tokens that were guessed, 15 % hidden",
    "next_sentence": "share of sentence pairs that were told apart, half of them random",
    "perplexity": "perplexity a token",
    "perplexity_per_word": "perplexity a word, as spaces part words",
}
USES = {
    "BERT": "It guesses hidden words (`showtell fill`), and its vectors say what texts are about.",
    "RoBERTa": "It guesses hidden words (`showtell fill`), and its vectors say what texts are about.",
    "GPT": "It goes on with texts (`showtell complete`).",
}


def language_card(
    name: str, system: nn.Module, facts: Mapping[str, Any], figures: Mapping[str, float]
) -> str:
    """Markdown for the README.md of a language model's folder."""
    settings, data = facts["settings"], facts["data"]
    return model_card(
        name,
        system,
        facts,
        what=f"""
A language model of {settings["system"]["vocab_size"]:,} tokens. {USES[type(system).__name__]}
It reads at most {settings["system"]["max_length"]} tokens.
""",
        rows=[
            ("documents learned from", f"{data['documents']:,}, {data['train']:,} tokens"),
            ("documents the best weights were chosen by", f"{data['val']:,}"),
            *((f"validation: {MEANING[key]}", f"{value:.4g}") for key, value in figures.items()),
        ],
        more="""
The vocabulary was learned from the training documents alone.

## What it cannot do

It knows the language of its training texts alone, their habits and prejudices included, and knows nothing
of what is true. A small model writes sentences that hold together for a few words.
""",
    )
