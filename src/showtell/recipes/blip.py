"""BLIP: one transformer of texts that finds, matches and describes images."""

from dataclasses import replace

from showtell.datasets.vocabulary import PretrainedText, SubwordVocabulary
from showtell.runs.length import epochs
from showtell.runs.vision_language import VisionLanguageRun, pair_training
from showtell.systems.blip import BLIPConfig
from showtell.systems.clip import TowerConfig


def blip_base(num_images: int) -> VisionLanguageRun:
    """Contrast, matching and captions at the paper's size, ViT-B/16: wants GPUs.

    20 epochs in batches of 2,880: section 4.1. From scratch, where the paper begins with the weights of a ViT
    and of BERT; images are squashed to squares.

    Paper: Li et al. 2022, "BLIP: Bootstrapping Language-Image Pre-training"
    Time: not measured
    """
    batch_size = min(2880, num_images)
    steps = epochs(20, num_images, batch_size, at_least=600)
    return VisionLanguageRun(
        system=BLIPConfig(queue_size=min(57600, num_images), warm_updates=steps // 20),
        train=pair_training(steps, batch_size, 3e-4, weight_decay=0.05, warmup_steps=min(3000, steps // 10)),
        vocabulary=SubwordVocabulary("wordpiece", "bert", 30522, 40),
    )


def blip_mini(num_images: int) -> VisionLanguageRun:
    """A small BLIP over the features of a frozen image encoder.

    The texts' transformer begins as all-MiniLM-L6-v2 where its package is installed, at a low learning rate,
    as the paper's begins as BERT; else it is a small one, trained from scratch.

    Paper: Li et al. 2022, "BLIP: Bootstrapping Language-Image Pre-training"
    Time: 89 minutes of one CPU core with bf16 units for the 6,000 images of Flickr8k
    """
    batch_size = 64
    steps = epochs(25, num_images, batch_size, at_least=300)
    system = BLIPConfig(
        image=TowerConfig(256, 4, 1024, 1, "gelu", 1e-6),
        feature_width=1280,
        feature_dropout=0.5,
        width=256,
        depth=3,
        num_heads=4,
        mlp_dim=1024,
        max_length=40,
        dropout=0.1,
        queue_size=min(1024, num_images),
        warm_updates=steps // 10,
    )
    train = pair_training(steps, batch_size, 5e-4)
    pretrained = PretrainedText(max_length=40, occurring=True)
    if not pretrained.installed:
        return VisionLanguageRun(system, train, SubwordVocabulary("wordpiece", "bert", 4000, 40))
    return VisionLanguageRun(replace(system, pooling="mean", text_rate=0.3), train, pretrained)
