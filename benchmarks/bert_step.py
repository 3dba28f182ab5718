"""A training step of BERT against `transformers`: both losses, backward, AdamW, with the same shapes.

    python benchmarks/bert_step.py [--rounds 10] [--width 768 --depth 12 --vocab-size 30522]

Both sides have fused attention and fused AdamW, no dropout, and run alternately. `full`: rows of full length
without padding. `packed`: texts of many lengths that fill 57 % of such rows; the reference pads them, ours
packs the same texts into fewer rows. The operations counted are those of real tokens: the multiply-adds of
every weight matrix that they pass and of attention within their text, twice for forward, four times for
backward; those of the vocabulary for masked tokens alone. The peak is a float32 product of 2048 x 2048 by the
faster of torch's two libraries, measured in the same run. Ours chooses between them, as the command does.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import transformers
from torch import Tensor, nn

from peak import peak
from showtell.data.batch import Batch
from showtell.data.texts.corpus import Example
from showtell.data.texts.pack import pack, stack
from showtell.objectives.masked_tokens import mask_tokens
from showtell.systems.bert import BERT, BERTConfig
from table import command, table

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


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def updating(module: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    """One update of the module with the loss."""
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-5, fused=True)

    def update() -> None:
        optimiser.zero_grad(set_to_none=True)
        loss().backward()
        optimiser.step()

    return update


def measure(
    ours: BERT, theirs: nn.Module, batch: Batch, inputs: dict[str, Tensor], rounds: int
) -> list[float]:
    """Medians: their seconds, our seconds, the ratio, and the best product's operations per second."""
    generator = torch.Generator().manual_seed(3)
    mine = updating(ours, lambda: torch.stack([*ours(batch, generator).losses.values()]).sum())
    other = updating(theirs, lambda: theirs(**inputs).loss)
    taken = [(seconds(other), seconds(mine), peak()) for _ in range(rounds + 1)][1:]
    their_seconds, my_seconds, best = (statistics.median(column) for column in zip(*taken, strict=True))
    ratio = statistics.median(other / mine for other, mine, _ in taken)
    return [their_seconds, my_seconds, ratio, best]


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
    torch.set_flush_denormal(True)
    os.environ.setdefault("SHOWTELL_LINEAR", "auto")
    torch.manual_seed(0)
    config = BERTConfig(
        vocab_size=options.vocab_size,
        width=options.width,
        depth=options.depth,
        num_heads=options.width // 64,
        mlp_dim=4 * options.width,
    )
    ours = BERT(config)
    theirs = transformers.BertForPreTraining(
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
    lengths = {
        "full": [options.length] * options.batch,
        "packed": text_lengths(options.texts, options.length),
    }
    rows = []
    for name, own in lengths.items():
        texts = make_texts(own, config)
        padded = stack(texts, 0)
        batch = padded if name == "full" else pack(texts, options.length, 0)
        inputs = reference_inputs(padded, options.length, config)
        their_seconds, my_seconds, ratio, best = measure(ours, theirs, batch, inputs, options.rounds)
        rate = operations(config, own) / my_seconds
        rows.append(
            [
                name,
                len(own),
                f"{sum(own) / len(own) / options.length:.0%}",
                f"{len(own)} / {len(batch)}",
                f"{1000 * their_seconds:.0f}",
                f"{1000 * my_seconds:.0f}",
                f"{ratio:.2f}",
                f"{rate / 1e9:.0f}",
                f"{best / 1e9:.0f}",
                f"{rate / best:.0%}",
            ]
        )
    command()
    spread = ", ".join(f"{q:.0f}" for q in np.quantile(lengths["packed"], [0, 0.25, 0.5, 0.75, 1]))
    print(
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"transformers {transformers.__version__}; width {config.width}, {config.depth} layers, rows of "
        f"{options.length}; tokens of the packed texts: {spread} (least, quartiles, most)\n"
    )
    names = ["case", "texts", "fill", "rows theirs / ours", "their ms", "our ms", "ratio"]
    table([*names, "our GFLOP/s", "best product's GFLOP/s", "share"], rows)


if __name__ == "__main__":
    main()
