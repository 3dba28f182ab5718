"""Drawing a token from the nucleus: ours beside a sort of the whole vocabulary.

    python benchmarks/sampling.py [--rounds 50]

CPU time of one thread, for one row of random logits over 151,936 tokens, as Qwen2-VL has them. Of peaked
logits a few tokens make up the nucleus, of flat ones nearly all, and then ours sorts them too. Both are timed
in turn; the ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import Tensor

from showtell.device import processor
from showtell.tasks.decoding import sample_top_p
from table import command, table

VOCABULARY = 151_936


def sorting(logits: Tensor, top_p: float, generator: torch.Generator) -> Tensor:
    """The nucleus of the sorted vocabulary, as in the paper."""
    probs, order = logits.softmax(-1).sort(-1, descending=True)
    probs = probs.masked_fill(probs.cumsum(-1) - probs >= top_p, 0.0)
    return order[0].gather(-1, torch.multinomial(probs[0], 1, generator=generator))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    command()
    print(f"{processor()}, torch {torch.__version__}\n")
    rows = []
    for name, spread in (("peaked", 8.0), ("flat", 0.5)):
        logits = spread * torch.randn(1, 1, VOCABULARY, generator=generator)
        for top_p in (0.9, 1.0):
            spent: dict[str, list[float]] = {"sort": [], "ours": []}
            for _ in range(rounds):
                for way, draw in (("sort", sorting), ("ours", sample_top_p)):
                    begun = time.process_time()
                    draw(logits, top_p, generator)
                    spent[way].append(time.process_time() - begun)
            theirs, ours = (1000 * statistics.median(spent[way]) for way in ("sort", "ours"))
            rows.append([name, top_p, f"{theirs:.2f}", f"{ours:.2f}", f"{theirs / ours:.1f}"])
    table(["logits", "top_p", "ms with a sort", "ms of ours", "ratio"], rows)


if __name__ == "__main__":
    main()
