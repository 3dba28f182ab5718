"""RoBERTa on texts: as the paper trained it, and sized for two cores and minutes."""

from showtell.runs.language_model import LanguageModelRun, short_training
from showtell.runs.length import steps_for_words
from showtell.systems.roberta import RoBERTaConfig
from showtell.train.config import TrainConfig


def roberta_base(num_words: int) -> LanguageModelRun:
    """Masked tokens of full sentences, at the paper's size, RoBERTa-base: wants GPUs.

    As in table 9: batches of 8K, here 32 batches of 256 per update.

    Paper: Liu et al. 2019, "RoBERTa: A Robustly Optimized BERT Pretraining Approach"
    Time: not measured
    """
    return LanguageModelRun(
        system=RoBERTaConfig(dropout=0.1),
        train=TrainConfig(
            steps=500_000,
            batch_size=256,
            accumulate=32,
            learning_rate=6e-4,
            schedule="linear",
            warmup_steps=24_000,
            weight_decay=0.01,
            betas=(0.9, 0.98),
            clip_norm=0.0,
            validate_every=10_000,
            checkpoint_every=1_000,
        ),
    )


def roberta_mini(num_words: int) -> LanguageModelRun:
    """Masked tokens of full sentences, by a small encoder.

    More tokens are masked than the paper's 15 %, as in `bert_mini`.

    Paper: Liu et al. 2019, "RoBERTa: A Robustly Optimized BERT Pretraining Approach"
    Time: not measured
    """
    system = RoBERTaConfig(
        vocab_size=4096, width=256, depth=2, num_heads=4, mlp_dim=1024, max_length=64, mask_rate=0.3
    )
    batch_size = 32
    count = steps_for_words(10_000, num_words, batch_size, system.max_length)
    return LanguageModelRun(
        system=system,
        train=short_training(
            count,
            batch_size,
            learning_rate=1.5e-3,
            warmup_steps=min(500, count // 10),
            betas=(0.9, 0.98),
        ),
    )
