"""ViLBERT: an image and a text in two transformers that attend to each other, from regions."""

from showtell.datasets.vocabulary import SubwordVocabulary
from showtell.runs.length import epochs
from showtell.runs.vision_language import VisionLanguageRun, pair_training
from showtell.systems.vilbert import Stream, ViLBERTConfig


def vilbert_base(num_images: int) -> VisionLanguageRun:
    """Matching and whole words masked, at the paper's size, on BERT-base: wants GPUs.

    Batches of 512 for 10 epochs: section 3.1. Regions are a regular pyramid of boxes over the grid of the
    frozen encoder, not those of a detector. From scratch, where the paper begins with BERT.

    Paper: Lu et al. 2019, "ViLBERT: Pretraining Task-Agnostic Visiolinguistic Representations"
    Time: not measured
    """
    batch_size = 512
    steps = epochs(10, num_images, min(batch_size, num_images), at_least=600)
    return VisionLanguageRun(
        system=ViLBERTConfig(),
        train=pair_training(steps, batch_size, 1e-4),
        vocabulary=SubwordVocabulary("wordpiece", "bert", 30522, 64),
    )


def vilbert_mini(num_images: int) -> VisionLanguageRun:
    """A small ViLBERT from scratch, over a pyramid of 30 boxes on the grid of a frozen image encoder.

    Paper: Lu et al. 2019, "ViLBERT: Pretraining Task-Agnostic Visiolinguistic Representations"
    Time: 24 minutes of one CPU core with bf16 units for the 6,000 images of Flickr8k
    """
    batch_size = 64
    steps = epochs(20, num_images, batch_size, at_least=300)
    return VisionLanguageRun(
        system=ViLBERTConfig(
            width=256,
            depth=3,
            num_heads=4,
            mlp_dim=1024,
            max_length=64,
            image=Stream(256, 2, 4, 512, eps=1e-6),
            pair_width=256,
            eps=1e-6,
        ),
        train=pair_training(steps, batch_size, 5e-4),
        vocabulary=SubwordVocabulary("wordpiece", "bert", 8000, 40),
    )
