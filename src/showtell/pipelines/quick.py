"""Whether this machine ranks proposed images again quickly enough to do so unasked."""

from __future__ import annotations

import time

import torch

from showtell.library.search import Library
from showtell.nn.once_per_machine import once_per_machine
from showtell.pipelines.engines.rerank import PROPOSED
from showtell.pipelines.model import Model
from showtell.tasks.likelihood import likelihood

WORDS, SECONDS = 12, 0.2
"""Tokens of the query that is timed, and what one may take at most."""


def ranks_quickly(captioner: Model, library: Library) -> bool:
    """Whether a captioner ranks `PROPOSED` images of its own set within `SECONDS`.

    Measured once per machine and model. False of an empty library.
    """
    if not len(library):
        return False
    what = f"{captioner.hash}, {captioner.device}, {torch.get_num_threads()} threads"
    taken = once_per_machine("rerank.json", what, lambda: round(_seconds(captioner, library), 4), float)
    return taken < SECONDS


@torch.inference_mode()
def _seconds(captioner: Model, library: Library) -> float:
    """Of one query, the least of three; on a CPU the processor time over the threads, as if it were idle."""
    images = library.encoded([0] * PROPOSED).to(captioner.device)
    ids = torch.arange(WORDS).clamp(max=len(captioner.tokenizer) - 1).tolist()
    on_cpu = captioner.device == "cpu"
    clock = time.process_time if on_cpu else time.perf_counter
    taken = []
    for _ in range(4):
        began = clock()
        likelihood(captioner.system, ids, captioner.system.prefill(images))
        taken.append(clock() - began)
    return min(taken[1:]) / (torch.get_num_threads() if on_cpu else 1)
