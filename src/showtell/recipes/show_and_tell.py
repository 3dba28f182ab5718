"""The article's captioner: three recurrent layers of 300, dropout 0.22, about 8,000 words."""

from showtell.runs.captioning import CaptioningRun
from showtell.runs.epochs import epochs
from showtell.systems.show_and_tell import ShowAndTellConfig
from showtell.train.config import TrainConfig

# Source: Chopra 2019, "One neural network, many uses": 40 epochs there. Ten take minutes, and leave the
# loss on held-out images still falling: `--set train.steps` for more.


def show_and_tell(num_images: int) -> CaptioningRun:
    """For `num_images` to learn from, with all of their captions in one batch."""
    batch_size = 16
    per_epoch = epochs(1, num_images, batch_size, at_least=50)
    return CaptioningRun(
        system=ShowAndTellConfig(),
        train=TrainConfig(
            steps=epochs(10, num_images, batch_size, at_least=600),
            batch_size=batch_size,
            learning_rate=1e-3,
            warmup_steps=200,
            weight_decay=0.02,
            clip_norm=2.0,
            ema=0.999,
            validate_every=per_epoch,
            checkpoint_every=per_epoch,
        ),
    )
