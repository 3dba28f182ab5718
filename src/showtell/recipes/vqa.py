"""Answers to questions about images, fine-tuned: visual question answering."""

from showtell.runs.image_answering import ImageAnsweringRun, answering_training
from showtell.systems.vilt_finetuned import ViLTAnswererConfig

MINI = ViLTAnswererConfig(
    width=128,
    depth=6,
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
    Time: 23 minutes of one CPU core with bf16 units on easy-VQA, an hour of one without
    """
    return ImageAnsweringRun(system=MINI, train=answering_training(num_questions))
