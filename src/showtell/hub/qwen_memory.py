"""How much memory a Qwen-VL takes to answer, known before it is taken.

A batch needs, beside its patches twice, as they wait and as the model reads them:

    tower       patches (16 width + 5 inner)            activations of one layer, all images at once; 6 widths
                                                        more where position embeddings are interpolated
    prefill     rows longest (22 width + 6 inner)       of one layer
    mask        rows longest (1 + 8 longest)            where rows differ in length, in bytes
    decoding    rows vocabulary 8                       float32 logits, and what a choice makes of them
    cache       rows (longest + budget) keys, values    of all layers twice, as they grow, and per query

The factors cover what the heap of a process that keeps freed blocks (`runtime.keep_freed_memory`) loses
between blocks of different sizes, once what was free before the batch is given back; they were measured:
`pytest -s -m reliability tests/reliability/test_qwen_memory.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from showtell.hub.qwen_vl import Prompt

WIDTHS, INNERS = 22, 6
"""Activations of a layer, per token: so many times its width, and that of its feed-forward network."""
TOWER_WIDTHS, TOWER_INNERS, INTERPOLATED = 16, 5, 6
"""The same of the vision tower, and widths for position embeddings that are interpolated."""
LOGITS = 8
"""Numbers per row and token of the vocabulary."""


def bytes_held(prompt: Prompt) -> int:
    """What a prompt takes while it waits: its patches."""
    return 0 if prompt.pixels is None else prompt.pixels.nbytes


def bytes_needed(model: Any, prompts: Sequence[Prompt], budgets: Sequence[int]) -> int:
    """What answering prompts in one batch takes beside what they hold, with so many tokens each at most.

    `model` is that of `transformers`.
    """
    item = model.dtype.itemsize
    vision, text = model.config.vision_config, model.config.get_text_config()
    patches = sum(0 if prompt.pixels is None else len(prompt.pixels) for prompt in prompts)
    width = getattr(vision, "embed_dim", vision.hidden_size)
    inner = getattr(vision, "intermediate_size", None) or int(width * vision.mlp_ratio)
    widths = TOWER_WIDTHS + (INTERPOLATED if hasattr(vision, "num_position_embeddings") else 0)
    lengths = [len(prompt.ids) for prompt in prompts]
    rows, longest = len(lengths), max(lengths)
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    kept = 4 * head * (text.num_hidden_layers * text.num_key_value_heads + text.num_attention_heads)
    numbers = (
        patches * (widths * width + TOWER_INNERS * inner)
        + rows * longest * (WIDTHS * text.hidden_size + INNERS * text.intermediate_size)
        + rows * (longest + max(budgets)) * kept
    )
    mask = rows * longest * (1 + 8 * longest) if min(lengths) < longest else 0
    logits = rows * text.vocab_size * LOGITS * 4
    return sum(map(bytes_held, prompts)) + numbers * item + mask + logits
