"""LLaVA: the tokens of an image read by a language model."""

from showtell.datasets.pretrained_language import PretrainedLanguage
from showtell.runs.captioning import CaptioningRun
from showtell.runs.length import epochs
from showtell.systems.llama import LlamaConfig
from showtell.systems.llava import LLaVAConfig
from showtell.train.config import TrainConfig

SMOLLM2 = LlamaConfig(
    vocab_size=49152,
    width=576,
    depth=30,
    num_heads=9,
    num_kv_heads=3,
    mlp_dim=1536,
    max_length=8192,
    theta=100000.0,
    tied=True,
    eps=1e-5,
)
"""SmolLM2-135M; the sizes of another language model follow from it."""


def llava_mini(num_images: int) -> CaptioningRun:
    """A projector from a frozen image encoder into a frozen language model, SmolLM2, trained on captions.

    The paper's first stage, with its learning rate, warm-up and no weight decay; longer, on fewer images.
    `showtell train tune --model` trains the second on conversations.

    Paper: Liu et al. 2023, "Visual Instruction Tuning"
    Time: 4 minutes on an H200 that eight trainings shared
    """
    batch_size = 32
    steps = epochs(4, num_images, batch_size, at_least=200)
    often = max(steps // 5, 1)
    return CaptioningRun(
        system=LLaVAConfig(feature_width=1280, language=SMOLLM2, train_language=False),
        train=TrainConfig(
            steps=steps,
            batch_size=batch_size,
            learning_rate=1e-3,
            warmup_steps=steps * 3 // 100,
            weight_decay=0.0,
            precision="auto",
            validate_every=often,
            checkpoint_every=often,
        ),
        vocabulary=PretrainedLanguage(),
    )
