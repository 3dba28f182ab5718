"""Pixel-BERT: an image and a text in one transformer, from the grid of a convolutional network."""

from showtell.datasets.vocabulary import SubwordVocabulary
from showtell.runs.length import epochs
from showtell.runs.vision_language import VisionLanguageRun, pair_training
from showtell.systems.pixel_bert import PixelBERTConfig


def pixel_bert_base(num_images: int) -> VisionLanguageRun:
    """Matching and whole words masked, with a ResNet-50 that is trained along: wants GPUs.

    Images are squashed to 448 pixels a side. From scratch, where the paper begins with the weights of a
    ResNet and of BERT, and by AdamW alone, where it trains the network by SGD; 40 epochs: section 4.2.

    Paper: Huang et al. 2020, "Pixel-BERT: Aligning Image Pixels with Text by Deep Multi-Modal Transformers"
    Time: not measured
    """
    batch_size = 256
    steps = epochs(40, num_images, min(batch_size, num_images), at_least=600)
    return VisionLanguageRun(
        system=PixelBERTConfig(image_size=448),
        train=pair_training(steps, batch_size, 1e-4),
        vocabulary=SubwordVocabulary("wordpiece", "bert", 30522, 64),
    )


def pixel_bert_mini(num_images: int) -> VisionLanguageRun:
    """A small Pixel-BERT from scratch, over the grid of a frozen image encoder.

    Paper: Huang et al. 2020, "Pixel-BERT: Aligning Image Pixels with Text by Deep Multi-Modal Transformers"
    Time: not measured
    """
    batch_size = 64
    steps = epochs(20, num_images, batch_size, at_least=300)
    return VisionLanguageRun(
        system=PixelBERTConfig(width=256, depth=4, num_heads=4, mlp_dim=1024, max_length=64, backbone=""),
        train=pair_training(steps, batch_size, 5e-4),
        vocabulary=SubwordVocabulary("wordpiece", "bert", 8000, 40),
    )
