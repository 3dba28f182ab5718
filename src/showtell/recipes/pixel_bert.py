"""Pixel-BERT: an image and a text in one transformer, from the grid of a convolutional network."""

from dataclasses import replace

from showtell.datasets.vocabulary import PretrainedText, SubwordVocabulary
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
    """A small Pixel-BERT over the grid of a frozen image encoder.

    It begins as all-MiniLM-L6-v2 where its package is installed, at a low learning rate, as the paper begins
    with BERT; else it is a smaller one, trained from scratch.

    Paper: Huang et al. 2020, "Pixel-BERT: Aligning Image Pixels with Text by Deep Multi-Modal Transformers"
    Time: not measured
    """
    batch_size = 64
    steps = epochs(20, num_images, batch_size, at_least=300)
    system = PixelBERTConfig(width=256, depth=4, num_heads=4, mlp_dim=1024, max_length=64, backbone="")
    train = pair_training(steps, batch_size, 5e-4)
    pretrained = PretrainedText(max_length=40, occurring=True)
    if not pretrained.installed:
        return VisionLanguageRun(system, train, SubwordVocabulary("wordpiece", "bert", 8000, 40))
    return VisionLanguageRun(replace(system, dropout=0.1, text_rate=0.3), train, pretrained)
