"""SigLIP: two towers whose pairs are judged one by one, from pixels."""

from showtell.datasets.vocabulary import SubwordVocabulary
from showtell.runs.contrastive import METRIC, ContrastiveRun
from showtell.runs.length import epochs
from showtell.systems.clip import TowerConfig
from showtell.systems.siglip import SigLIPConfig
from showtell.train.config import TrainConfig


def siglip_b16(num_images: int) -> ContrastiveRun:
    """Two towers and the sigmoid loss from pixels, at the paper's size, ViT-B/16: wants GPUs.

    Batches of 32,768 and a beta_2 of 0.95 as in section 4; what that does not say is as in `clip_b32`, with
    each image read 32 times. Images are squashed, not cropped at random.

    Paper: Zhai et al. 2023, "Sigmoid Loss for Language Image Pre-Training"
    Time: not measured
    """
    batch_size = 32_768
    steps = epochs(32, num_images, min(batch_size, num_images), at_least=600)
    return ContrastiveRun(
        system=SigLIPConfig(),
        train=_training(steps, batch_size, chunk_size=128, warmup_steps=min(2000, steps // 10)),
        vocabulary=SubwordVocabulary("bpe", "siglip", 32000, 64),
    )


def siglip_mini(num_images: int) -> ContrastiveRun:
    """Two small towers and the sigmoid loss, from pixels.

    Pairs are judged one by one, so small batches do. With few images, from scratch, its vectors tell colours
    and scenes: `clip_mini`, whose image encoder is pretrained, finds far more in the same time.

    Paper: Zhai et al. 2023, "Sigmoid Loss for Language Image Pre-Training"
    Time: not measured
    """
    batch_size = 64
    steps = epochs(20, num_images, batch_size, at_least=300)
    tower = TowerConfig(192, 3, 768, depth=4, activation="gelu_tanh", eps=1e-6)
    return ContrastiveRun(
        system=SigLIPConfig(tower, tower, image_size=64, patch_size=8, max_length=32),
        train=_training(steps, batch_size, warmup_steps=steps // 10),
        vocabulary=SubwordVocabulary("bpe", "siglip", 4000, 32),
    )


def _training(steps: int, batch_size: int, warmup_steps: int, chunk_size: int = 0) -> TrainConfig:
    return TrainConfig(
        steps=steps,
        batch_size=batch_size,
        chunk_size=chunk_size,
        learning_rate=1e-3,
        warmup_steps=warmup_steps,
        betas=(0.9, 0.95),
        weight_decay=1e-4,
        validate_every=max(steps // 10, 1),
        metric=METRIC,
        higher_is_better=True,
        checkpoint_every=max(steps // 10, 1),
    )
