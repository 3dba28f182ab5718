"""UNITER: an image and a text in one transformer, from regions of a frozen image encoder."""

from showtell.datasets.vocabulary import SubwordVocabulary
from showtell.runs.length import epochs
from showtell.runs.vision_language import METRIC, VisionLanguageRun
from showtell.systems.uniter import UNITERConfig
from showtell.train.config import TrainConfig


def uniter_base(num_images: int) -> VisionLanguageRun:
    """Matching, whole words masked, and words aligned to regions, at the size of UNITER-base: wants GPUs.

    Regions are a regular pyramid of boxes over the grid of the frozen encoder, not those of a detector. From
    scratch, where the paper begins with BERT. Batches and epochs are ours: the paper's batches count tokens.

    Paper: Chen et al. 2020, "UNITER: UNiversal Image-TExt Representation Learning"
    Time: not measured
    """
    batch_size = 256
    steps = epochs(30, num_images, min(batch_size, num_images), at_least=600)
    return VisionLanguageRun(
        system=UNITERConfig(),
        train=_training(steps, batch_size, 5e-5),
        vocabulary=SubwordVocabulary("wordpiece", "bert", 30522, 64),
    )


def uniter_mini(num_images: int) -> VisionLanguageRun:
    """A small UNITER from scratch, over a pyramid of 30 boxes on the grid of a frozen image encoder.

    Paper: Chen et al. 2020, "UNITER: UNiversal Image-TExt Representation Learning"
    Time: not measured
    """
    batch_size = 64
    steps = epochs(20, num_images, batch_size, at_least=300)
    return VisionLanguageRun(
        system=UNITERConfig(width=256, depth=4, num_heads=4, mlp_dim=1024, max_length=64),
        train=_training(steps, batch_size, 5e-4),
        vocabulary=SubwordVocabulary("wordpiece", "bert", 8000, 40),
    )


def _training(steps: int, batch_size: int, learning_rate: float) -> TrainConfig:
    return TrainConfig(
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        warmup_steps=steps // 10,
        weight_decay=0.01,
        validate_every=max(steps // 10, 1),
        metric=METRIC,
        higher_is_better=True,
        checkpoint_every=max(steps // 10, 1),
    )
