"""Fair disaggregation: alike shares of the totals, or as nearly so as the profile allows."""

from __future__ import annotations

import pytest
import torch

from totalflex_env.errors import OfferError
from totalflex_env.flexoffer import makers
from totalflex_env.flexoffer.exact import aggregate_exact
from totalflex_env.flexoffer.fair import disaggregate_fairly
from totalflex_env.flexoffer.kinds import Members
from totalflex_env.flexoffer.members import join

ONE = torch.ones(2, dtype=torch.float64)


def vehicles(first: int, last: int) -> Members:
    """Two vehicles of 1 kWh per slot that may take 0 to 2 and 1 to 4 kWh, the second from slot `first` to `last`."""
    window = torch.tensor([0, first]), torch.tensor([4, last])
    return makers.vehicles(makers.numbered(2), 4, window, ONE, (torch.tensor([0.0, 1.0]), torch.tensor([2.0, 4.0])))


def test_totals_lie_at_one_place_where_the_profile_allows_it() -> None:
    aggregate = aggregate_exact(vehicles(0, 4))
    split, band = disaggregate_fairly(aggregate, torch.full((4,), 0.875))  # 3.5 of 1 to 6 kWh
    assert band == 0.0
    assert torch.allclose(split.vehicles.sum(1), torch.tensor([1.0, 2.5], dtype=torch.float64), atol=1e-6)
    assert torch.allclose(split.vehicles.sum(0), torch.full((4,), 0.875, dtype=torch.float64), atol=1e-6)


def test_the_band_is_as_narrow_as_the_profile_allows() -> None:
    window = torch.tensor([0, 2]), torch.tensor([2, 4])
    total = torch.zeros(2, dtype=torch.float64), 2.0 * ONE
    aggregate = aggregate_exact(makers.vehicles(makers.numbered(2), 4, window, ONE, total))
    split, band = disaggregate_fairly(aggregate, torch.tensor([1.0, 1.0, 0.5, 0.5]))  # 1.0 and 0.5 of the range
    assert band == pytest.approx(0.5, abs=0.01)
    assert torch.allclose(split.vehicles.sum(1), torch.tensor([2.0, 1.0], dtype=torch.float64), atol=1e-6)


def test_storages_share_alike_too_and_profiles_outside_are_refused() -> None:
    window = torch.zeros(2, dtype=torch.int64), torch.full((2,), 4)
    level = torch.zeros(2, dtype=torch.float64), torch.tensor([2.0, 4.0], dtype=torch.float64)
    storages = makers.storages(makers.numbered(2, 2), 4, window, (ONE, ONE), (level, level))
    aggregate = aggregate_exact(join([vehicles(0, 4), storages]))
    split, band = disaggregate_fairly(aggregate, torch.full((4,), 1.625))  # 6.5 of 1 to 12 kWh: half of the range
    assert band == 0.0
    expected = torch.tensor([1.0, 2.5, 1.0, 2.0], dtype=torch.float64)
    assert torch.allclose(torch.cat([split.vehicles.sum(1), split.storages.sum(1)]), expected, atol=1e-6)
    with pytest.raises(OfferError):
        disaggregate_fairly(aggregate, torch.full((4,), 4.5))
