"""UNITER: an image and a text in one transformer, from regions of a frozen image encoder."""

from dataclasses import replace

from showtell.datasets.vocabulary import PretrainedText, SubwordVocabulary
from showtell.runs.length import epochs
from showtell.runs.vision_language import VisionLanguageRun, pair_training
from showtell.systems.uniter import UNITERConfig


def uniter_base(num_images: int) -> VisionLanguageRun:
    """Matching, whole words masked, and words aligned to regions, at the size of UNITER-base: wants GPUs.

    Regions are a regular pyramid of boxes over the grid of the frozen encoder, not those of a detector: those
    come with `regions=FILE`. From scratch, where the paper begins with BERT. Batches and epochs are ours: the
    paper's batches count tokens.

    Paper: Chen et al. 2020, "UNITER: UNiversal Image-TExt Representation Learning"
    Time: not measured
    """
    batch_size = 256
    steps = epochs(30, num_images, min(batch_size, num_images), at_least=600)
    return VisionLanguageRun(
        system=UNITERConfig(),
        train=pair_training(steps, batch_size, 5e-5),
        vocabulary=SubwordVocabulary("wordpiece", "bert", 30522, 64),
    )


def uniter_mini(num_images: int) -> VisionLanguageRun:
    """A small UNITER over a pyramid of 30 boxes on the grid of a frozen image encoder.

    It begins as all-MiniLM-L6-v2 where its package is installed, at a low learning rate, as the paper begins
    with BERT; else it is a smaller one, trained from scratch.

    Paper: Chen et al. 2020, "UNITER: UNiversal Image-TExt Representation Learning"
    Time: 68 minutes of one CPU core with bf16 units for the 6,000 images of Flickr8k
    """
    batch_size = 64
    steps = epochs(20, num_images, batch_size, at_least=300)
    system = UNITERConfig(width=256, depth=4, num_heads=4, mlp_dim=1024, max_length=64)
    train = pair_training(steps, batch_size, 5e-4)
    pretrained = PretrainedText(max_length=40, occurring=True)
    if not pretrained.installed:
        return VisionLanguageRun(system, train, SubwordVocabulary("wordpiece", "bert", 8000, 40))
    return VisionLanguageRun(replace(system, dropout=0.1, text_rate=0.3), train, pretrained)
