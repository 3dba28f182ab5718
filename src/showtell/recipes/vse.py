"""VSE++: a GRU and a frozen image encoder, trained on the hardest negatives of each batch."""

from showtell.datasets.vocabulary import WordVocabulary
from showtell.runs.contrastive import METRIC, ContrastiveRun
from showtell.runs.length import epochs
from showtell.systems.vse import VSEConfig
from showtell.train.config import TrainConfig


def vse(num_images: int) -> ContrastiveRun:
    """Two towers, a GRU and a frozen image encoder, and the hardest negatives of each batch.

    As in section 4.1: batches of 128, 30 epochs, Adam at 2e-4, there divided by ten after half of them, here
    decayed along a cosine. In the first epoch all negatives count.

    Paper: Faghri et al. 2018, "VSE++: Improving Visual-Semantic Embeddings with Hard Negatives"
    Time: about 80 minutes of one core for the 6,000 images of Flickr8k, by the pace of 1,700 steps
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
