from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from totalflex_env import units


def test_by_hand() -> None:
    """0.16 MVA is the 160 kVA transformer; 50 EUR/MWh is 0.05 EUR/kWh; 11 kW over a slot of 15 minutes is 2.75 kWh."""
    assert units.kw_from_mw(0.16) == 160.0
    assert units.mw_from_kw(160.0) == 0.16
    assert units.eur_per_kwh(50.0) == 0.05
    assert units.eur_per_mwh(0.05) == 50.0
    assert units.kwh_from_kw(11.0) == 2.75
    assert units.kw_from_kwh(2.75) == 11.0
    assert units.SLOTS_PER_HOUR * units.SLOT_HOURS == 1.0
    assert units.SLOTS_PER_DAY * units.SLOT_HOURS == 24.0


@pytest.mark.parametrize("to_integer", [units.to_mwh_integer, units.to_micro_eur])
def test_rounding_is_half_to_even_and_whole(to_integer: Callable[[torch.Tensor], torch.Tensor]) -> None:
    millionths = torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, 3.2], dtype=torch.float64)
    whole = to_integer(millionths / 1e6)
    assert whole.dtype == torch.int64
    assert whole.tolist() == [0, 2, 2, 0, -2, 3]


def test_float32_is_rounded_in_float64() -> None:
    """100,000.015625 has an exact float32, but times 1e6 it has none: float32 arithmetic would be off by 2,376."""
    energy = torch.tensor(100_000.015625, dtype=torch.float32)
    assert units.to_mwh_integer(energy).item() == 100_000_015_625


@settings(deadline=None)
@given(st.lists(st.integers(-(10**15), 10**15), min_size=1))
def test_whole_numbers_survive_the_way_out_and_back(values: list[int]) -> None:
    whole = torch.tensor(values)
    assert units.to_mwh_integer(units.from_mwh_integer(whole)).tolist() == values
    assert units.to_micro_eur(units.from_micro_eur(whole)).tolist() == values


def test_a_price_per_kwh_times_milliwatt_hours_is_micro_eur() -> None:
    """2 kWh at 0.30 EUR/kWh cost 0.60 EUR: the ledger's integers need no factor between them."""
    energy = units.to_mwh_integer(torch.tensor(2.0))
    assert (energy * 0.30).round().item() == units.to_micro_eur(torch.tensor(0.60, dtype=torch.float64)).item()
