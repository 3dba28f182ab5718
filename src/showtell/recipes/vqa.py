"""Answers to questions about images, fine-tuned: visual question answering."""

from dataclasses import replace

from showtell.runs.finetuning import few_epochs
from showtell.runs.image_answering import ImageAnsweringRun
from showtell.systems.vilt_finetuned import ViLTAnswererConfig
from showtell.train.config import TrainConfig

MINI = ViLTAnswererConfig(
    width=128,
    depth=4,
    num_heads=4,
    mlp_dim=512,
    image_size=64,
    patch_size=8,
    vocab_size=2000,
    eps=1e-6,
)
"""A ViLT for two cores that reads small drawn images from scratch; with `--model`, sizes are that one's."""


def vqa_vilt(num_questions: int) -> ImageAnsweringRun:
    """The answer to a question about an image, words and patches in one transformer; starts from a ViLT, or
    from scratch.

    Paper: Kim et al. 2021, "ViLT: Vision-and-Language Transformer Without Convolution or Region Supervision"
    Time: not measured
    """
    return ImageAnsweringRun(system=MINI, train=_answering(num_questions))


def _answering(num_questions: int) -> TrainConfig:
    """Three epochs, validated four times; the best parameters are kept."""
    train = few_epochs(num_questions)
    batch = 64
    steps = max(train.steps * train.batch_size // batch, 300)
    return replace(
        train,
        steps=steps,
        batch_size=batch,
        learning_rate=1e-3,
        warmup_steps=steps // 10,
        validate_every=max(steps // 4, 1),
    )
