"""The dual encoder that showtell ships for search: projections of two frozen encoders."""

from showtell.datasets.vocabulary import PretrainedText
from showtell.runs.contrastive import METRIC, ContrastiveRun
from showtell.runs.length import epochs
from showtell.systems.lit import LiTConfig
from showtell.train.config import TrainConfig


def default_search(num_images: int) -> ContrastiveRun:
    """Projections of multilingual-e5-small and of two EfficientNets side by side, all three frozen.

    The vectors of images and captions are computed once. English captions are also read word by word in
    Chinese, German and French; texts in the text tower's other languages find images through it alone.

    Paper: Zhai et al. 2022, "LiT: Zero-Shot Transfer with Locked-image text Tuning", both towers locked
    Time: minutes on two cores, after half an hour of reading the images and captions of Flickr8k
    """
    batch_size = 512
    per_epoch = epochs(1, num_images, batch_size, at_least=1)
    steps = 60 * per_epoch
    return ContrastiveRun(
        system=LiTConfig(feature_width=2560, text_rate=0.0, hidden_width=352, standardise=True),
        train=TrainConfig(
            steps=steps,
            batch_size=batch_size,
            learning_rate=2e-3,
            warmup_steps=min(50, steps // 4),
            weight_decay=0.3,
            validate_every=5 * per_epoch,
            metric=METRIC,
            higher_is_better=True,
            checkpoint_every=10 * per_epoch,
        ),
        vocabulary=PretrainedText("multilingual-e5-small"),
        backbone="efficientnet_lite0+efficientnet_lite2",
        weights="float16",
        languages=("zh", "de", "fr"),
    )
