import pytest
import torch
from torch import nn

from showtell.nn.unfilled import Unfilled
from showtell.systems.bert import BERTEncoderConfig
from showtell.systems.show_attend_and_tell import ShowAttendAndTellConfig
from showtell.systems.vit import ViTConfig

TINY = [
    BERTEncoderConfig(vocab_size=50, width=32, depth=1, num_heads=2, mlp_dim=32),
    ViTConfig(image_size=32, patch_size=16, width=32, depth=1, num_heads=2, mlp_dim=32),
    ShowAttendAndTellConfig(vocab_size=50),
]


@pytest.mark.parametrize("config", TINY, ids=lambda config: type(config).__name__)
def test_a_system_is_built_without_random_numbers(config) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with Unfilled():
        unfilled = config.build()
    assert torch.equal(torch.get_rng_state(), before)
    drawn = config.build()
    assert not torch.equal(torch.get_rng_state(), before)
    unfilled.load_state_dict(drawn.state_dict(), strict=True)
    assert all(torch.equal(a, b) for a, b in zip(unfilled.buffers(), drawn.buffers(), strict=True))


def test_other_tensors_are_drawn_as_ever() -> None:
    with Unfilled():
        noise = torch.empty(1000).normal_()
        layer = nn.BatchNorm1d(4)
    assert 0.8 < noise.std() < 1.2
    assert layer.weight.tolist() == [1.0] * 4
