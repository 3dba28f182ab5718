"""Reading with a KV cache, beside a decoder that computes the whole text again for each token.

    python benchmarks/vlp_decoding.py [--images 1] [--images 8] [--rounds 3]

The decoder of `vlp_sm` as in the paper, without a pointer, untrained: 6 layers of width 256, images of 256
tokens, which both ways encode once. Greedy, never the end, 144 tokens. Both must choose the same tokens. CPU
time of one thread, each way in turn; the ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

import torch
from torch import Tensor

from showtell.device import processor
from showtell.protocols import Encoded, State
from showtell.recipes.vlp import vlp_sm
from showtell.systems.vlp import VLP
from showtell.tasks.decoding import beam_search
from table import command, table

TOKENS, START, END = 144, 0, 1


def cached(system: VLP, memory: State) -> list[list[int]]:
    """The tokens of each image, by the project's decoding."""
    found = beam_search(system, memory, start=START, end=END, beam=1, max_tokens=TOKENS)
    return [[*hypotheses[0].ids] for hypotheses in found]


def again(system: VLP, memory: State) -> list[list[int]]:
    """The same by the decoder over the whole text, for each token."""
    count = len(next(iter(memory.values())))
    owner, ids = torch.arange(count), torch.full((count, 1), START)
    for _ in range(TOKENS):
        logits = system.inspect(memory, owner, ids).logits[:, -1]
        ids = torch.cat([ids, logits.argmax(1, keepdim=True)], 1)
    return ids[:, 1:].tolist()


def _timed(way, system: VLP, memory: State) -> tuple[float, list[list[int]]]:
    began = time.process_time()
    found = way(system, memory)
    return time.process_time() - began, found


@torch.inference_mode()
def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, action="append")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = replace(vlp_sm(1).system, backbone="patches_32", pointing_weight=0.0, masked_weight=0.0)
    system = config.build().eval()
    system.output.bias[END] = -1e4  # it never ends
    command()
    rows = []
    for count in options.images or [1, 8]:
        tokens: Tensor = torch.randn(count, 256, config.width)
        memory = system.prefill(Encoded(tokens, tokens.mean(1)))
        times: dict[str, list[float]] = {"cached": [], "again": []}
        for _ in range(options.rounds):
            (seconds, found), (slow, expected) = (_timed(way, system, memory) for way in (cached, again))
            if found != expected:
                raise SystemExit("the two ways choose different tokens")
            times["cached"].append(seconds)
            times["again"].append(slow)
        fast, slow = (statistics.median(each) for each in times.values())
        rows.append([count, f"{fast:.2f}", f"{slow:.2f}", f"{slow / fast:.1f}"])
    print(f"{processor()}, {options.rounds} rounds, {TOKENS} tokens\n")
    table(["images", "s, cached", "s, computed again", "ratio"], rows)


if __name__ == "__main__":
    main()
