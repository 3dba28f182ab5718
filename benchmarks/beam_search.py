"""Batched beam search against a loop over hypotheses: the same captions, how much faster.

    python benchmarks/beam_search.py [--images 32] [--beam 5] [--rounds 5]

Both decode the same encoded images (crops of photographs that installed packages carry), alternately; the
ratio is that of the medians of their CPU time, all threads together.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch

from showtell.data.images.decode import load_image
from showtell.data.images.samples import sample_photographs
from showtell.pipelines.model import load_model
from showtell.protocols import Captioner, Encoded
from showtell.tasks.decoding import Hypothesis, beam_search
from table import command, table


def crops(count: int, seed: int = 0) -> list[np.ndarray]:
    """Random crops, each at least half of its photograph."""
    rng = np.random.default_rng(seed)
    photographs = [load_image(path) for path in sample_photographs()]
    out = []
    for number in range(count):
        pixels = photographs[number % len(photographs)]
        height, width = (int(side * rng.uniform(0.5, 1)) for side in pixels.shape[:2])
        top, left = (
            int(rng.integers(0, whole - part + 1))
            for whole, part in zip(pixels.shape[:2], (height, width), strict=True)
        )
        out.append(pixels[top : top + height, left : left + width])
    return out


@torch.inference_mode()
def loop_over_hypotheses(
    system: Captioner,
    encoded: Encoded,
    *,
    start: int,
    end: int,
    beam: int,
    banned: list[int],
    max_tokens: int = 20,
    penalty: float = 0.7,
) -> list[Hypothesis]:
    """The textbook search: one hypothesis of one image at a time, lists and sorting."""
    best = []
    for image in range(len(encoded.pooled)):
        memory = system.prefill(Encoded(encoded.tokens[image : image + 1], encoded.pooled[image : image + 1]))
        open_, finished = [(0.0, (), system.initial_state(memory))], []
        for _ in range(max_tokens + 1):
            longer = []
            for score, ids, state in open_:
                last = torch.tensor([[ids[-1] if ids else start]])
                logits, after = system.step(memory, state, last)
                logits[..., banned] = -torch.inf
                logprobs = logits.log_softmax(-1)[0, 0]
                finished.append((score + logprobs[end].item(), ids))
                logprobs[end] = -torch.inf
                values, tokens = logprobs.topk(beam)
                longer += [
                    (score + v, (*ids, t), after)
                    for v, t in zip(values.tolist(), tokens.tolist(), strict=True)
                ]
            open_ = sorted(longer, key=lambda x: -x[0])[:beam]
            finished = sorted(finished, key=lambda x: -x[0] / (len(x[1]) + 1) ** penalty)[:1]
            if (
                finished[0][0] / (len(finished[0][1]) + 1) ** penalty
                >= open_[0][0] / (max_tokens + 1) ** penalty
            ):
                break
        best.append(Hypothesis(finished[0][1], finished[0][0]))
    return best


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", help="a checkpoint folder; default: the shipped model")
    options = parser.parse_args()
    model = load_model(options.model)
    encoded = model.encode([model.prepare(pixels) for pixels in crops(options.images)])
    decoding = {"start": model.tokenizer.start, "end": model.tokenizer.end, "beam": options.beam}
    banned = model.tokenizer.never_generated(model.system.config.vocab_size)
    times: dict[str, list[float]] = {"batched": [], "loop": []}
    for _ in range(options.rounds):
        started = time.process_time()
        batched = [
            row[0]
            for row in beam_search(model.system, model.system.prefill(encoded), banned=banned, **decoding)
        ]
        times["batched"].append(time.process_time() - started)
        started = time.process_time()
        looped = loop_over_hypotheses(model.system, encoded, banned=banned, **decoding)
        times["loop"].append(time.process_time() - started)
    same = sum(a.ids == b.ids for a, b in zip(batched, looped, strict=True))
    medians = {name: statistics.median(values) for name, values in times.items()}
    command()
    each = {name: 1000 * seconds / options.images for name, seconds in medians.items()}
    table(
        ["search", "CPU ms per image", "ratio", "same captions"],
        [
            ["loop over hypotheses", f"{each['loop']:.1f}", "1.0", ""],
            [
                "batched",
                f"{each['batched']:.1f}",
                f"{each['loop'] / each['batched']:.1f}",
                f"{same} of {options.images}",
            ],
        ],
    )


if __name__ == "__main__":
    main()
