"""VLP on texts drawn as images: the published sizes, and one for two cores and an hour."""

from __future__ import annotations

from typing import Any

from showtell.runs.pixel_text import PixelTextRun
from showtell.systems.vlp import VLPConfig
from showtell.train.config import TrainConfig


def vlp_sm(num_words: int) -> PixelTextRun:
    """Reads texts from pixels and fills masked words: 6 layers of width 256; wants a GPU.

    The decoder also learns where each token stands and which are masked, as `showtell read` says it.

    Paper: Basara 2023, "Visual Language Processing"
    Time: not measured
    """
    return _published(width=256, mlp_dim=1024, num_heads=8, depth=6, dec_div=1)


def vlp_base(num_words: int) -> PixelTextRun:
    """Reads texts from pixels and fills masked words: 12 layers of width 512; wants GPUs.

    Paper: Basara 2023, "Visual Language Processing"
    Time: not measured
    """
    return _published(width=512, mlp_dim=2048, num_heads=16, depth=12, dec_div=1)


def vlp_lg(num_words: int) -> PixelTextRun:
    """Reads texts from pixels and fills masked words: 12 layers of width 768, half as many to decode; wants
    GPUs.

    Paper: Basara 2023, "Visual Language Processing"
    Time: not measured
    """
    return _published(width=768, mlp_dim=4096, num_heads=16, depth=12, dec_div=2)


def vlp_xlg(num_words: int) -> PixelTextRun:
    """Reads texts from pixels and fills masked words: 24 layers of width 768, 6 to decode; wants GPUs.

    Paper: Basara 2023, "Visual Language Processing"
    Time: not measured
    """
    return _published(width=768, mlp_dim=4096, num_heads=24, depth=24, dec_div=4)


def _published(**size: Any) -> PixelTextRun:
    """The published training: AdamW, one cycle, texts of growing length on 512 x 512 pixels.

    The paper gives no number of steps; it reads "one epoch" of Wikipedia and BookCorpus in batches of 16.
    """
    return PixelTextRun(
        system=VLPConfig(pointing_weight=1.0, masked_weight=1.0, **size),
        train=TrainConfig(
            steps=500_000,
            batch_size=16,
            learning_rate=1e-4,
            schedule="one_cycle",
            warmup_steps=50_000,
            weight_decay=5e-2,
            betas=(0.9, 0.99),
            validate_every=10_000,
            checkpoint_every=2_000,
        ),
    )


def vlp_mini(num_words: int) -> PixelTextRun:
    """Reads short texts from pixels and fills masked words, by a small network for lines of text.

    What a small model learns in an hour depends on how soon it finds the letters. So they have one height on
    the page, a cell of the grid holds about one of them and predicts it, a pointer is taught where the next
    token stands, tokens are short, and so are the first texts.

    Paper: Basara 2023, "Visual Language Processing"
    Time: 73 min of one CPU core; 0.05 of the characters are read wrong
    """
    steps = 7_000
    return PixelTextRun(
        system=VLPConfig(
            backbone="text_cnn_mini",
            positions="sine_2d",
            width=128,
            depth=2,
            num_heads=4,
            mlp_dim=512,
            dec_div=1,
            activation="gelu",
            vocab_size=768,
            max_length=52,
            pointing_weight=1.0,
            letters_weight=5.0,
            masked_weight=0.2,
        ),
        train=TrainConfig(
            steps=steps,
            batch_size=16,
            learning_rate=3e-3,
            schedule="one_cycle",
            warmup_steps=300,
            weight_decay=5e-2,
            betas=(0.9, 0.99),
            validate_every=steps // 12,
            checkpoint_every=steps // 30,
            precision="auto",
        ),
        canvas=(128, 384),
        letter=8,
        curriculum=(8, 20, 50),
        shares=(0.15, 0.2, 0.65),
        inverted=0.0,
    )
