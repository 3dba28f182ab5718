"""ViLT: an image and a text in one transformer, from patches; the lightest of its kind."""

from showtell.datasets.vocabulary import SubwordVocabulary
from showtell.runs.length import epochs
from showtell.runs.vision_language import METRIC, VisionLanguageRun, pair_training
from showtell.systems.vilt import ViLTConfig
from showtell.train.config import TrainConfig


def vilt_base(num_images: int) -> VisionLanguageRun:
    """Matching, whole words masked, and words aligned to patches, at the paper's size, ViLT-B/32: wants GPUs.

    Batches of 4,096 for 100,000 steps, images that keep their aspect ratio: section 4.1. From scratch, or
    as a ViT that `--set image_tower=` names, as in the paper.

    Paper: Kim et al. 2021, "ViLT: Vision-and-Language Transformer Without Convolution or Region Supervision"
    Time: not measured
    """
    return VisionLanguageRun(
        system=ViLTConfig(),
        train=TrainConfig(
            steps=100_000,
            batch_size=4096,
            learning_rate=1e-4,
            warmup_steps=2500,
            weight_decay=0.01,
            validate_every=2000,
            metric=METRIC,
            higher_is_better=True,
            checkpoint_every=2000,
        ),
        vocabulary=SubwordVocabulary("wordpiece", "bert", 30522, 40),
        keep_ratio=True,
    )


def vilt_mini(num_images: int) -> VisionLanguageRun:
    """A small ViLT from patches of 16 pixels, from scratch, or as a ViT that `--set image_tower=` names.

    Paper: Kim et al. 2021, "ViLT: Vision-and-Language Transformer Without Convolution or Region Supervision"
    Time: 29 minutes of one CPU core with bf16 units for the 6,000 images of Flickr8k
    """
    batch_size = 64
    steps = epochs(20, num_images, batch_size, at_least=300)
    return VisionLanguageRun(
        system=ViLTConfig(
            width=192, depth=6, num_heads=3, mlp_dim=768, image_size=112, patch_size=16, eps=1e-6
        ),
        train=pair_training(steps, batch_size, 5e-4),
        vocabulary=SubwordVocabulary("wordpiece", "bert", 8000, 40),
    )
