"""Whether bfloat16 pays is measured where no matrix units decide it."""

import pytest
import torch

from showtell.nn import bfloat16, fastest


@pytest.fixture
def vector_units_alone(monkeypatch, tmp_path):
    """A processor whose AVX-512 knows bfloat16, without AMX, and whose float32 products are known."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    rate = {name: {"torch": 200.0, "onednn": 400.0} for name in fastest.PRODUCTS}
    monkeypatch.setattr(fastest, "measure", lambda: rate)
    bfloat16._wins.cache_clear()
    yield
    bfloat16._wins.cache_clear()


@pytest.mark.skipif(not fastest.has_onednn(), reason="this build of torch has no oneDNN")
@pytest.mark.parametrize(("rate", "wins"), [(180.0, False), (450.0, False), (900.0, True)])
def test_the_faster_of_both_float32_products_is_to_be_beaten(vector_units_alone, monkeypatch, rate, wins):
    measured = []
    monkeypatch.setattr(bfloat16, "measure", lambda: measured.append(1) or rate)
    assert bfloat16.has_fast_bfloat16("cpu") == wins
    bfloat16._wins.cache_clear()  # as in another process
    assert bfloat16.has_fast_bfloat16("cpu") == wins
    assert len(measured) == 1


def test_without_units_nothing_is_measured(vector_units_alone, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(bfloat16, "measure", lambda: pytest.fail("measured"))
    assert not bfloat16.has_fast_bfloat16("cpu")


def test_matrix_units_need_no_measurement(vector_units_alone, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    monkeypatch.setattr(bfloat16, "measure", lambda: pytest.fail("measured"))
    assert bfloat16.has_fast_bfloat16("cpu")


def test_a_measurement_gives_a_rate_and_leaves_the_random_state_alone():
    state = torch.get_rng_state()
    assert bfloat16.measure() > 0
    assert torch.equal(state, torch.get_rng_state())
