"""A training step of BERT against `transformers`: both losses, backward, AdamW, with the same shapes.

    python benchmarks/bert_step.py [--rounds 10] [--width 768 --depth 12 --vocab-size 30522]

Both sides have the same sizes, fused attention and fused AdamW, no dropout, and take turns, each in a process
of its own: ours as the command runs it. `full`: rows of full length without padding. `packed`: texts of many
lengths that fill 57 % of such rows; the reference pads them, ours packs the same texts into fewer rows. Where
bfloat16 is faster on the processor, both run under autocast too. The operations counted are those of real
tokens: the multiply-adds of every weight matrix that they pass and of attention within their text, twice for
forward, four times for backward; those of the vocabulary for masked tokens alone. The best product is one of
2048 x 2048 in the same precision, in float32 by the faster of torch's two libraries, in the same run.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import transformers
from torch import Tensor, nn

from clip_step import precisions, updating
from peak import peak
from showtell.data.batch import Batch
from showtell.data.texts.corpus import Example
from showtell.data.texts.pack import pack, stack
from showtell.objectives.masked_tokens import mask_tokens
from showtell.runtime import prepare_process
from showtell.systems.bert import BERTConfig
from showtell.train.config import Precision
from showtell.train.precision import PRECISIONS
from table import command, table
from turns import turns

THEIRS, OURS = "transformers", "showtell"
CLS, SEP, FILL, SHORTEST = 101, 102, 0.57, 8


def text_lengths(count: int, longest: int) -> list[int]:
    """Log-normal lengths, cut at the longest and scaled to fill 57 % of it."""
    drawn = np.exp(0.6 * np.random.default_rng(0).standard_normal(count))
    low, high = 0.0, 4.0 * longest
    for _ in range(50):
        scale = (low + high) / 2
        filled = np.clip(drawn * scale, SHORTEST, longest).mean() / longest
        low, high = (scale, high) if filled < FILL else (low, scale)
    return np.clip(drawn * scale, SHORTEST, longest).round().astype(int).tolist()


def make_texts(lengths: list[int], config: BERTConfig) -> list[Example]:
    """Sentence pairs of random tokens."""
    draw = np.random.default_rng(1)
    return [
        Example(
            ids=np.array([CLS, *draw.integers(999, config.vocab_size, n - 2), SEP]),
            groups=np.arange(n),
            segments=(np.arange(n) >= n // 2).astype(np.int64),
            follows=bool(draw.random() < 0.5),
        )
        for n in lengths
    ]


def reference_inputs(batch: Batch, length: int, config: BERTConfig) -> dict[str, Tensor]:
    """Inputs of the reference: rows of full length, tokens masked beforehand, -100 for the others."""
    ids, masked = mask_tokens(
        batch.texts.ids,
        batch.texts.keep,
        mask_id=config.mask_id,
        vocab_size=config.vocab_size,
        special=config.special,
        generator=torch.Generator().manual_seed(2),
    )
    missing = (0, length - ids.shape[1])
    return {
        "input_ids": nn.functional.pad(ids, missing),
        "attention_mask": nn.functional.pad(batch.texts.keep, missing).long(),
        "token_type_ids": nn.functional.pad(batch.texts.segments, missing),
        "labels": nn.functional.pad(batch.texts.ids.where(masked, -100), missing, value=-100),
        "next_sentence_label": (~batch.targets.follows).long(),
    }


def operations(config: BERTConfig, lengths: list[int]) -> float:
    """Floating-point operations of one step."""
    tokens, pairs = sum(lengths), sum(n * n for n in lengths)
    block = 4 * config.width**2 + 2 * config.width * config.mlp_dim
    inside = config.depth * (block * tokens + 2 * config.width * pairs)
    masked = config.mask_rate * (tokens - 2 * len(lengths))
    heads = masked * config.width * (config.width + config.vocab_size) + len(lengths) * config.width**2
    return 6.0 * (inside + heads)


def reference(config: BERTConfig) -> nn.Module:
    """The network of `transformers` with those sizes."""
    return transformers.BertForPreTraining(
        transformers.BertConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.width,
            num_hidden_layers=config.depth,
            num_attention_heads=config.num_heads,
            intermediate_size=config.mlp_dim,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            attn_implementation="sdpa",
        )
    ).train()


def side(
    kind: str, config: BERTConfig, lengths: list[int], longest: int, precision: Precision
) -> Callable[[], float]:
    """An update of one side with texts of those lengths."""
    if kind == OURS:
        prepare_process()
    torch.manual_seed(0)
    texts = make_texts(lengths, config)
    padded = stack(texts, 0)
    if kind == THEIRS:
        theirs, inputs = reference(config), reference_inputs(padded, longest, config)
        return updating(theirs, lambda: theirs(**inputs).loss, precision)
    ours, generator = config.build().train(), torch.Generator().manual_seed(3)
    batch = padded if min(lengths) == longest else pack(texts, longest, 0)
    return updating(ours, lambda: torch.stack([*ours(batch, generator).losses.values()]).sum(), precision)


def compare(
    config: BERTConfig, lengths: list[int], longest: int, precision: Precision, rounds: int
) -> list[str]:
    """The times of both sides, their ratio, and our rate beside that of the best product."""
    kinds = (THEIRS, OURS)
    makers = {kind: partial(side, kind, config, lengths, longest, precision) for kind in kinds}
    with turns(makers) as sides:
        sides.take()  # not timed
        peak(dtype=PRECISIONS[precision])
        taken = [(sides.take(), peak(dtype=PRECISIONS[precision])) for _ in range(rounds)]
    theirs, ours = (statistics.median(seconds[kind] for seconds, _ in taken) for kind in kinds)
    rate, best = operations(config, lengths) / ours, statistics.median(best for _, best in taken)
    return [
        *(f"{1000 * theirs:.0f}", f"{1000 * ours:.0f}", f"{theirs / ours:.2f}"),
        *(f"{rate / 1e9:.0f}", f"{best / 1e9:.0f}", f"{rate / best:.0%}"),
    ]


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--batch", type=int, default=8, help="texts of the full case")
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--texts", type=int, default=32, help="texts of the packed case")
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--depth", type=int, default=12)
    parser.add_argument("--vocab-size", type=int, default=30522)
    options = parser.parse_args()
    os.environ.setdefault("SHOWTELL_LINEAR", "auto")
    config = BERTConfig(
        vocab_size=options.vocab_size,
        width=options.width,
        depth=options.depth,
        num_heads=options.width // 64,
        mlp_dim=4 * options.width,
    )
    packed = text_lengths(options.texts, options.length)
    command()
    spread = ", ".join(f"{q:.0f}" for q in np.quantile(packed, [0, 0.25, 0.5, 0.75, 1]))
    print(
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"transformers {transformers.__version__}; width {config.width}, {config.depth} layers, rows of "
        f"{options.length}; tokens of the packed texts: {spread} (least, quartiles, most)\n"
    )
    rows = (
        [
            *(name, precision, len(lengths), f"{sum(lengths) / len(lengths) / options.length:.0%}"),
            *compare(config, lengths, options.length, precision, options.rounds),
        ]
        for precision in precisions()
        for name, lengths in {"full": [options.length] * options.batch, "packed": packed}.items()
    )
    names = ["case", "precision", "texts", "fill", "their ms", "our ms", "ratio"]
    table([*names, "our GFLOP/s", "best product's GFLOP/s", "share"], rows)


if __name__ == "__main__":
    main()
