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


def llava_base(num_images: int) -> CaptioningRun:
    """The projector of LLaVA-1.5, from the frozen CLIP of `backbone=` into the frozen language model of
    `vocabulary.source=`: wants GPUs.

    The paper's first stage, table 9: one epoch of 256 images a step. It reads CLIP's tokens after the last
    layer, the paper's after the last but one. `showtell train tune --model` trains the second stage.

    Paper: Liu et al. 2024, "Improved Baselines with Visual Instruction Tuning"
    Time: not measured
    """
    batch_size = 256
    steps = epochs(1, num_images, batch_size, at_least=200)
    return _projector(
        LLaVAConfig(feature_width=1024, train_language=False),
        steps,
        batch_size,
        PretrainedLanguage("vicuna-7b-v1.5", max_length=256),
        "clip-vit-large-patch14-336",
    )


def llava_mini(num_images: int) -> CaptioningRun:
    """A projector from a frozen image encoder into a frozen language model, SmolLM2, trained on captions.

    The paper's first stage, with its learning rate, warm-up and no weight decay; longer, on fewer images.
    `showtell train tune --model` trains the second on conversations.

    Paper: Liu et al. 2023, "Visual Instruction Tuning"
    Time: 4 minutes on an H200 that eight trainings shared
    """
    batch_size = 32
    steps = epochs(4, num_images, batch_size, at_least=200)
    system = LLaVAConfig(feature_width=1280, language=SMOLLM2, train_language=False)
    return _projector(system, steps, batch_size, PretrainedLanguage(), "efficientnet_lite0")


def _projector(
    system: LLaVAConfig, steps: int, batch_size: int, language: PretrainedLanguage, backbone: str
) -> CaptioningRun:
    """The paper's first stage: learning rate, warm-up and no weight decay."""
    often = max(steps // 5, 1)
    return CaptioningRun(
        system=system,
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
        vocabulary=language,
        backbone=backbone,
    )
