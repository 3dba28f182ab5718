"""A process that answers questions about images with a random Qwen-VL, and measures what each takes.

    python -m support.peaks FAMILY < questions.jsonl

A line of standard input holds the rows of a batch: each is the sizes of its images, how often its text is
repeated, and how many tokens follow. A line of standard output holds MiB: expected, and measured, which is
how far the resident set rose above where it stood before the images were read. Freed memory is given back to
the system before each and, as the server does, before it is answered; the first batch, in which libraries set
themselves up, is answered twice.
"""

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from showtell.hub.qwen_memory import bytes_held, bytes_needed
from showtell.hub.qwen_vl import load_qwen_vl
from showtell.pipelines.image_chat import ImageChat, Question
from showtell.runtime import give_back_freed_memory, keep_freed_memory
from showtell.tasks.pen import Sampling
from support.memory import keep_small_pages, peak_of
from support.qwen import qwen_folder

MIB = 1 << 20


class Measured:
    """Batches of one model."""

    def __init__(self, family: str, folder: Path, vision: int, text: int) -> None:
        sizes = {"vision_width": vision, "width": text, "max_length": 1 << 15}
        theirs = qwen_folder(folder / family, family, **sizes)
        loaded = replace(load_qwen_vl(theirs), max_pixels=10**7)
        loaded.image_processor.size = {"shortest_edge": 3136, "longest_edge": 10**7}
        self._loaded, self._chat = loaded, ImageChat(loaded, family)

    def batch(self, rows: list) -> tuple[float, float]:
        """What was expected, and what was measured."""

        def answered() -> list[Question]:
            questions = [self._question(*row) for row in rows]
            give_back_freed_memory()
            self._chat.answer(questions, [lambda piece: True] * len(rows))
            return questions

        questions, measured = peak_of(answered)
        prompts = [question.prompt for question in questions]
        needed = bytes_needed(self._loaded.model, prompts, [q.sampling.max_tokens for q in questions])
        return (sum(map(bytes_held, prompts)) + needed) / MIB, measured

    def _question(self, sizes: list[tuple[int, int]], words: int, new: int):
        images = [np.full((height, width, 3), 90, np.uint8) for height, width in sizes]
        parts = [{"type": "image"}] * len(images) + [{"type": "text", "text": "cat " * words}]
        return self._chat.question([{"role": "user", "content": parts}], images, Sampling(new))


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    keep_small_pages()
    keep_freed_memory()
    batches = [json.loads(line) for line in sys.stdin]
    vision, text = int(sys.argv[2]), int(sys.argv[3])
    with tempfile.TemporaryDirectory() as folder:
        measured = Measured(sys.argv[1], Path(folder), vision, text)
        measured.batch(batches[0])
        for rows in batches:
            print(json.dumps(measured.batch(rows)), flush=True)


if __name__ == "__main__":
    main()
