"""The captioner that looks: attention over the grid of a frozen backbone."""

from showtell.datasets.captions import WordVocabulary
from showtell.runs.captioning import CaptioningRun
from showtell.runs.epochs import epochs
from showtell.systems.show_attend_and_tell import ShowAttendAndTellConfig
from showtell.train.config import TrainConfig


def show_attend_and_tell(num_images: int) -> CaptioningRun:
    """For `num_images` to learn from, with all of their captions in one batch."""
    batch_size = 16
    per_epoch = epochs(1, num_images, batch_size, at_least=50)
    return CaptioningRun(
        system=ShowAttendAndTellConfig(),
        vocabulary=WordVocabulary(min_count=3),
        train=TrainConfig(
            steps=epochs(9, num_images, batch_size, at_least=600),
            batch_size=batch_size,
            learning_rate=8e-4,
            warmup_steps=200,
            weight_decay=0.02,
            clip_norm=2.0,
            ema=0.999,
            validate_every=per_epoch,
            checkpoint_every=per_epoch,
        ),
    )
