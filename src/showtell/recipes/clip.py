"""CLIP: the paper's, from pixels; and one of minutes, words tuned to a locked image network."""

from showtell.errors import MissingError
from showtell.hub.catalogue import package_path
from showtell.runs.contrastive import METRIC, ContrastiveRun, PretrainedText, SubwordVocabulary
from showtell.runs.epochs import epochs
from showtell.systems.bert import BERTEncoderConfig
from showtell.systems.clip import CLIPConfig
from showtell.systems.lit import LiTConfig
from showtell.train.config import TrainConfig


def clip_b32(num_images: int) -> ContrastiveRun:
    """ViT-B/32 for `num_images` to learn from.

    Source: Radford et al. 2021, section 2.5 and tables 18 to 20: 32 epochs, batches of 32,768. Images are
    squashed, not cropped at random, so that nothing that a caption names is cut off.
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
    """A text tower tuned to the grid of a frozen network: minutes on a processor, from cached features.

    The text tower is all-MiniLM-L6-v2 where its package is installed, which learns slowly, for it knows words
    already; else a small one that begins from nothing.
    """
    batch_size = 256
    per_epoch = epochs(5, num_images, batch_size, at_least=50)  # five captions an image, each once
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
    try:
        package_path(PretrainedText().package)
    except MissingError:
        small = BERTEncoderConfig(
            width=256, depth=3, num_heads=4, mlp_dim=1024, max_length=64, pooler=False, pooling="mean"
        )
        return ContrastiveRun(LiTConfig(small), train, SubwordVocabulary("wordpiece", "bert", 8000, 64))
    return ContrastiveRun(LiTConfig(text_rate=0.05), train, PretrainedText())
