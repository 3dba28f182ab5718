"""CLIP: the paper's, from pixels; and one of minutes, a text tower tuned to a locked image encoder."""

from showtell.datasets.vocabulary import PretrainedText, SubwordVocabulary
from showtell.runs.contrastive import METRIC, ContrastiveRun
from showtell.runs.length import epochs
from showtell.systems.bert import BERTEncoderConfig
from showtell.systems.clip import CLIPConfig
from showtell.systems.lit import LiTConfig
from showtell.train.config import TrainConfig


def clip_b32(num_images: int) -> ContrastiveRun:
    """Two towers and InfoNCE from pixels, at the paper's size, ViT-B/32: wants GPUs.

    32 epochs in batches of 32,768: section 2.5 and tables 18 to 20. Images are squashed, not cropped at
    random, so that nothing that a caption names is cut off.

    Paper: Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision"
    Time: not measured
    """
    batch_size = 32_768
    steps = epochs(32, num_images, min(batch_size, num_images), at_least=600)
    return ContrastiveRun(
        system=CLIPConfig(),
        train=TrainConfig(
            steps=steps,
            batch_size=batch_size,
            chunk_size=128,
            learning_rate=5e-4,
            warmup_steps=min(2000, steps // 10),
            betas=(0.9, 0.98),
            weight_decay=0.2,
            clip_norm=0.0,
            validate_every=max(steps // 32, 1),
            metric=METRIC,
            higher_is_better=True,
            checkpoint_every=max(steps // 32, 1),
        ),
        vocabulary=SubwordVocabulary(),
    )


def clip_mini(num_images: int) -> ContrastiveRun:
    """A text tower tuned to the features of a frozen image encoder, from cached features.

    The text tower is all-MiniLM-L6-v2 where its package is installed, at a low learning rate as it is
    pretrained (`system.text_rate=0` freezes it); else a small one, trained from scratch.

    Paper: Zhai et al. 2022, "LiT: Zero-Shot Transfer with Locked-image text Tuning"
    Time: 16 minutes on two cores for the 6,000 images of Flickr8k
    """
    batch_size = 256
    per_epoch = epochs(5, num_images, batch_size, at_least=50)  # five captions per image, each read once
    train = TrainConfig(
        steps=5 * per_epoch,
        batch_size=batch_size,
        learning_rate=1e-3,
        warmup_steps=50,
        weight_decay=0.01,
        validate_every=per_epoch,
        metric=METRIC,
        higher_is_better=True,
        checkpoint_every=per_epoch,
    )
    pretrained = PretrainedText()
    if not pretrained.installed:
        small = BERTEncoderConfig(
            width=256, depth=3, num_heads=4, mlp_dim=1024, max_length=64, pooler=False, pooling="mean"
        )
        return ContrastiveRun(LiTConfig(small), train, SubwordVocabulary("wordpiece", "bert", 8000, 64))
    return ContrastiveRun(LiTConfig(text_rate=0.05), train, pretrained)
