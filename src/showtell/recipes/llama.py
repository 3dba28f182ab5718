"""Llama on texts, at a size for two cores and minutes."""

from showtell.runs.language_model import LanguageModelRun, short_training
from showtell.runs.length import steps_for_words
from showtell.systems.llama import LlamaConfig


def llama_mini(num_words: int) -> LanguageModelRun:
    """The next token, by a small decoder: about as many parameters as `gpt_mini`, its blocks Llama's.

    Betas and weight decay are the paper's (section 2.3).

    Paper: Touvron et al. 2023, "LLaMA: Open and Efficient Foundation Language Models"
    Time: not measured
    """
    # A gated MLP has three matrices for two: two thirds of the width (section 2.2).
    system = LlamaConfig(
        vocab_size=4096,
        width=256,
        depth=4,
        num_heads=4,
        num_kv_heads=2,
        mlp_dim=688,
        max_length=128,
        tied=True,
    )
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
