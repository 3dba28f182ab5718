"""A language model that answers as the conversations of a file do, by low-rank corrections."""

from showtell.runs.instruction import InstructionRun
from showtell.runs.length import epochs
from showtell.train.config import TrainConfig


def tune(num_conversations: int) -> InstructionRun:
    """The answers of conversations, by an adapter of a language model (`--model`), three times each.

    Paper: Hu et al. 2021, "LoRA: Low-rank adaptation of large language models"
    Time: 42 minutes of one CPU core with bf16 units over `llava_mini`, for 1,800 images of ten questions each
    """
    batch_size = 8
    steps = epochs(3, num_conversations, batch_size, at_least=60)
    often = max(steps // 6, 1)
    return InstructionRun(
        TrainConfig(
            steps=steps,
            batch_size=batch_size,
            learning_rate=2e-4,
            warmup_steps=steps // 20,
            weight_decay=0.0,
            validate_every=often,
            checkpoint_every=often,
        )
    )
