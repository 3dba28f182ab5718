"""Show, Attend and Tell: an LSTM that attends to the image features at each token."""

from showtell.datasets.vocabulary import WordVocabulary
from showtell.runs.captioning import CaptioningRun
from showtell.runs.length import epochs
from showtell.systems.show_attend_and_tell import ShowAttendAndTellConfig
from showtell.train.config import TrainConfig


def show_attend_and_tell(num_images: int) -> CaptioningRun:
    """A recurrent captioner that attends to a part of the image for each word; made the shipped model.

    Attention is by dot products in four heads, where the paper's is additive.

    Paper: Xu et al. 2015, "Show, Attend and Tell"
    Time: 22 minutes of one CPU core with bf16 units for the 6,000 images of Flickr8k
    """
    batch_size = 32
    per_epoch = epochs(1, num_images, batch_size, at_least=50)
    return CaptioningRun(
        system=ShowAttendAndTellConfig(feature_dropout=0.1, num_heads=4),
        vocabulary=WordVocabulary(min_count=3),
        train=TrainConfig(
            steps=epochs(8, num_images, batch_size, at_least=600),
            batch_size=batch_size,
            learning_rate=1.2e-3,
            warmup_steps=150,
            weight_decay=0.02,
            clip_norm=2.0,
            ema=0.995,
            precision="auto",
            validate_every=per_epoch,
            checkpoint_every=per_epoch,
        ),
        backbone="efficientnet_lite2",
    )
