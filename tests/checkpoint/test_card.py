"""The model card: what a system does and cannot do follows from its protocols."""

from showtell.checkpoint.card import CardFacts, count_parameters, model_card, uses_of
from showtell.checkpoint.load import load_checkpoint
from showtell.systems.byol import BYOLConfig
from showtell.systems.clip import CLIPConfig, TowerConfig
from showtell.systems.gpt import GPTConfig
from showtell.systems.roberta import RoBERTaConfig
from support.checkpoints import tiny_checkpoint

TINY = {"vocab_size": 9, "width": 8, "depth": 1, "num_heads": 1, "mlp_dim": 8}
TOWER = TowerConfig(8, 1, 8, depth=1)


def verbs(system) -> str:
    return " ".join(does for does, _ in uses_of(system))


def test_uses_are_named_by_their_verbs(tmp_path) -> None:
    captioner = load_checkpoint(tiny_checkpoint(tmp_path / "model")).system
    assert "showtell caption" in verbs(captioner)
    assert "showtell similar" in verbs(captioner)
    assert verbs(GPTConfig(**TINY).build()) == "continues texts (`showtell generate`)"
    assert "showtell fill-mask" in verbs(RoBERTaConfig(**TINY, mask_id=8, special=(8,)).build())
    clip = CLIPConfig(TOWER, TOWER, image_size=16, patch_size=8, vocab_size=9, width=8).build()
    assert "showtell search" in verbs(clip)
    assert len(uses_of(clip)) == 1, "what a shared space includes is not said again"


def test_parameters_for_training_alone_are_not_counted() -> None:
    system = BYOLConfig(backbone="resnet_mini", hidden_width=8, projection_width=4).build()
    assert count_parameters(system) == sum(p.numel() for p in system.tower.parameters())


def test_the_card_holds_rows_figures_sources_and_settings() -> None:
    system = GPTConfig(**TINY).build()
    facts = CardFacts({"training texts": "7"}, {"loss": "per token", "other": "unknown"}, ("Found there.",))
    card = model_card(
        system, "made here", facts, figures={"loss": 1.23456}, data_hash="ab" * 32, settings={"a": 1}
    )
    assert card.startswith("# GPT, made here\n")
    for line in (
        "| training texts | 7 |",
        "| validation: per token | 1.235 |",
        f"| data hash | `{'ab' * 8}` |",
    ):
        assert line in card
    assert "unknown" not in card
    assert card.index("Found there.") < card.index("## What it cannot do") < card.index('"a": 1')
    assert "data hash" not in model_card(system, "imported", CardFacts())
    assert "| validation | none: the run was stopped before its first |" in model_card(
        system, "stopped", facts, figures={}
    )
