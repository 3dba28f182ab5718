"""BERT on texts: as the paper trained it, and sized for two cores and half an hour."""

from showtell.runs.language_model import LanguageModelRun, short_training
from showtell.runs.length import steps_for_words
from showtell.systems.bert import BERTConfig
from showtell.train.config import TrainConfig


def bert_base(num_words: int) -> LanguageModelRun:
    """Masked tokens and next sentences, at the paper's size, BERT-base: wants GPUs.

    As in appendix A.2; all steps read 512 tokens, not the last tenth alone.

    Paper: Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers"
    Time: not measured
    """
    return LanguageModelRun(
        system=BERTConfig(dropout=0.1),
        train=TrainConfig(
            steps=1_000_000,
            batch_size=256,
            learning_rate=1e-4,
            schedule="linear",
            warmup_steps=10_000,
            weight_decay=0.01,
            validate_every=10_000,
            checkpoint_every=5_000,
        ),
    )


def bert_mini(num_words: int) -> LanguageModelRun:
    """Masked tokens and next sentences, by a small encoder.

    What a small model learns in half an hour depends on how many tokens it predicts. So it is shallow, its
    vocabulary is small, its steps are many and short, and more tokens are masked than the paper's 15 %
    (Wettig et al. 2023, "Should You Mask 15% in Masked Language Modeling?"). The validation masks 15 %.

    Paper: Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers"
    Time: 24 minutes on two cores for 55,000 documents
    """
    system = BERTConfig(
        vocab_size=4096,
        width=256,
        depth=3,
        num_heads=4,
        mlp_dim=1024,
        max_length=64,
        pooling="mean",
        mask_rate=0.3,
    )
    batch_size = 32
    count = steps_for_words(6_000, num_words, batch_size, system.max_length)
    return LanguageModelRun(
        system=system,
        train=short_training(
            count,
            batch_size,
            learning_rate=2e-3,
            warmup_steps=min(500, count // 10),
            betas=(0.9, 0.98),
        ),
    )
