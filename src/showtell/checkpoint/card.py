"""The model card: what a checkpoint is, what it is for, where it comes from and what it cannot do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from showtell.protocols import (
    Captioner,
    CausalLanguageModel,
    ImageClassifier,
    ImageEncoder,
    MaskedLanguageModel,
    SharedSpace,
    TextEncoder,
    TextWriter,
)

USES: tuple[tuple[type, str, str], ...] = (
    (
        Captioner,
        "captions images (`showtell caption`) and finds them by description (`showtell search`)",
        "It knows the tokens of its training captions alone, and describes every image, also one unlike all "
        "of them: the lower the log-probability per token of a caption, the less sure it is. Captions carry "
        "their writers' habits of guessing age, sex and activity, and the model repeats them.",
    ),
    (
        SharedSpace,
        "finds images by description and by likeness (`showtell search`, `showtell similar`), and tells "
        "which of some labels fits an image best (`showtell classify --labels`)",
        "It tells apart what its training captions tell apart. A cosine is no probability: compare scores of "
        "one query, not of two. Captions carry their writers' habits of guessing age, sex and activity, and "
        "the model repeats them.",
    ),
    (
        ImageClassifier,
        "tells which of its classes an image shows (`showtell classify`)",
        "It answers with one of its classes whatever an image shows. Whatever the training images of a class "
        "have in common, a background too, may be what it recognises.",
    ),
    (
        ImageEncoder,
        "finds similar images (`showtell similar`), draws maps (`showtell map images`) and is a start for a "
        "classifier with few labels (`showtell probe`)",
        "Which images count as similar follows from its training alone; trained on few images, it tells "
        "colours and textures apart, little more.",
    ),
    (
        MaskedLanguageModel,
        "predicts masked tokens (`showtell fill-mask`), and its vectors tell what texts are about",
        "It knows the language of its training texts alone, with their habits and prejudices, and nothing of "
        "what is true.",
    ),
    (
        CausalLanguageModel,
        "continues texts (`showtell generate`)",
        "It knows the language of its training texts alone, with their habits and prejudices, and nothing of "
        "what is true. A small model writes sentences that make sense for a few words.",
    ),
    (
        TextWriter,
        "reads a text and writes another (`showtell generate`)",
        "It does the tasks that it was trained on, in their words, and knows nothing of what is true.",
    ),
    (
        TextEncoder,
        "turns texts into vectors (`showtell embed`)",
        "Which texts count as similar follows from its training alone.",
    ),
)
"""What a system with a protocol does, and what it cannot do."""


@dataclass(frozen=True)
class CardFacts:
    """What a run or an import says in the card of its checkpoint."""

    rows: Mapping[str, str] = field(default_factory=dict)
    """What the system was trained on, by name."""
    meaning: Mapping[str, str] = field(default_factory=dict)
    """Of each figure of the validation that the card shows: what it measures."""
    sources: tuple[str, ...] = ()
    """Where parameters come from that this training did not make, and their licences."""
    more: str = ""
    """Whatever else there is to say."""


def uses_of(system: nn.Module) -> list[tuple[str, str]]:
    """What a system does and cannot do, as it says (`uses`) or by its protocols; what another use includes is
    left out.

    >>> from showtell.systems.gpt import GPT, GPTConfig
    >>> config = GPTConfig(vocab_size=9, width=8, depth=1, num_heads=1, mlp_dim=8)
    >>> [does for does, _ in uses_of(GPT(config))]
    ['continues texts (`showtell generate`)']
    """
    if said := getattr(system, "uses", None):
        return [said]
    kept = [use for use in USES if isinstance(system, use[0])]
    included = {parent for protocol, *_ in kept for parent in protocol.__mro__[1:]}
    return [(does, limit) for protocol, does, limit in kept if protocol not in included]


def count_parameters(system: nn.Module) -> int:
    """The parameters that a use of the system reads: those for training alone are not counted."""
    left_out = tuple(getattr(system, "training_only", ()))
    return sum(p.numel() for name, p in system.named_parameters() if not name.startswith(left_out))


def model_card(
    system: nn.Module,
    origin: str,
    facts: CardFacts,
    *,
    figures: Mapping[str, float] | None = None,
    data_hash: str = "",
    settings: Mapping[str, Any] | None = None,
) -> str:
    """Markdown for the `README.md` of a checkpoint; `origin` says what made it, such as `imported`."""
    name, uses = type(system).__name__, uses_of(system)
    rows = dict(facts.rows)
    for figure, meaning in facts.meaning.items():
        if figures and figure in figures:
            rows[f"validation: {meaning}"] = f"{figures[figure]:.4g}"
    if figures is not None and not figures and facts.meaning:
        rows["validation"] = "none: the run was stopped before its first"
    rows["parameters"] = f"{count_parameters(system):,}"
    if data_hash:
        rows["data hash"] = f"`{data_hash[:16]}`"
    parts = [
        f"# {name}, {origin}",
        "\n".join(f"- It {does}." for does, _ in uses),
        "| | |\n|---|---|\n" + "\n".join(f"| {key} | {value} |" for key, value in rows.items()),
        facts.more,
    ]
    if facts.sources:
        parts += ["## Where it comes from", *facts.sources]
    if uses:
        parts += ["## What it cannot do", *(limit for _, limit in uses)]
    if settings:
        parts += ["## Settings", f"```json\n{json.dumps(settings, indent=1)}\n```"]
    return "\n\n".join(part for part in parts if part) + "\n"
