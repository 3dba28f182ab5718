"""Show and Tell: an LSTM that reads the image as the first word of its caption."""

from showtell.runs.captioning import CaptioningRun
from showtell.runs.length import epochs
from showtell.systems.show_and_tell import ShowAndTellConfig
from showtell.train.config import TrainConfig


def show_and_tell(num_images: int) -> CaptioningRun:
    """A recurrent captioner: the image is the first word of its own caption; LSTM or GRU.

    Three layers of 300 and about 8,000 words. The article trains for 40 epochs, to a mean loss of 2.841
    on its training captions; here more dropout keeps twelve epochs from overfitting, and the image alone
    also predicts the words of its captions (LOG.md).

    Paper: Vinyals et al. 2015, "Show and Tell"; Chopra 2019, "One neural network, many uses"
    Time: 16 minutes of one CPU core with bf16 units for the 6,000 images of Flickr8k
    """
    batch_size = 16
    per_epoch = epochs(1, num_images, batch_size, at_least=50)
    return CaptioningRun(
        system=ShowAndTellConfig(dropout=0.5, smoothing=0.1, feature_dropout=0.3),
        train=TrainConfig(
            steps=epochs(12, num_images, batch_size, at_least=600),
            batch_size=batch_size,
            learning_rate=2e-3,
            warmup_steps=200,
            weight_decay=0.02,
            clip_norm=2.0,
            ema=0.999,
            precision="auto",
            validate_every=per_epoch,
            checkpoint_every=per_epoch,
        ),
        backbone="efficientnet_lite2",
    )
