"""VSE++: a GRU and a frozen network, trained on the hardest wrong pair of each batch."""

from showtell.datasets.captions import WordVocabulary
from showtell.runs.contrastive import METRIC, ContrastiveRun
from showtell.runs.epochs import epochs
from showtell.systems.vse import VSEConfig
from showtell.train.config import TrainConfig


def vse(num_images: int) -> ContrastiveRun:
    """For `num_images` to learn from, with five captions each.

    Source: Faghri et al. 2018, section 4.1: batches of 128, 30 epochs, Adam at 2e-4, there divided by ten
    after half of them, here falling along a cosine. In the first epoch every rival counts.
    """
    batch_size = 128
    per_epoch = epochs(5, num_images, batch_size, at_least=50)
    return ContrastiveRun(
        system=VSEConfig(warmup_updates=per_epoch),
        train=TrainConfig(
            steps=30 * per_epoch,
            batch_size=batch_size,
            learning_rate=2e-4,
            warmup_steps=0,
            weight_decay=0.0,
            clip_norm=2.0,
            validate_every=per_epoch,
            metric=METRIC,
            higher_is_better=True,
            checkpoint_every=per_epoch,
        ),
        vocabulary=WordVocabulary(min_count=4),
    )
