"""GPT-2 on texts: its smallest size, and one for two cores and minutes."""

from showtell.runs.language_model import LanguageModelRun, short_training
from showtell.runs.length import steps_for_words
from showtell.systems.gpt import GPTConfig
from showtell.train.config import TrainConfig


def gpt(num_words: int) -> LanguageModelRun:
    """The next token, at the paper's smallest size, GPT-2 small: wants GPUs.

    512 rows of 1,024 tokens per update, section 2.3. What that paper does not say is as Brown et al. 2020
    have it for this size (table 2.1, section 2.3 and appendix B): learning rate, its warm-up over 375 million
    tokens, weight decay, betas, 300 billion tokens.

    Paper: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners"
    Time: not measured
    """
    return LanguageModelRun(
        system=GPTConfig(dropout=0.1),
        train=TrainConfig(
            steps=572_000,
            batch_size=16,
            accumulate=32,
            learning_rate=6e-4,
            warmup_steps=715,
            weight_decay=0.1,
            betas=(0.9, 0.95),
            validate_every=10_000,
            checkpoint_every=1_000,
        ),
    )


def gpt_mini(num_words: int) -> LanguageModelRun:
    """The next token, by a small decoder.

    Paper: Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training"
    Time: not measured
    """
    system = GPTConfig(vocab_size=4096, width=256, depth=4, num_heads=4, mlp_dim=1024, max_length=128)
    batch_size = 16
    count = steps_for_words(4_000, num_words, batch_size, system.max_length)
    return LanguageModelRun(
        system=system,
        train=short_training(
            count,
            batch_size,
            learning_rate=1.5e-3,
            warmup_steps=min(200, count // 10),
            weight_decay=0.1,
            betas=(0.9, 0.95),
        ),
    )
