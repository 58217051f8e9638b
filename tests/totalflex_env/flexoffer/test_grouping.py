"""Grouping: tolerances, and bins against what they promise and against packing one offer after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from totalflex_env.errors import ConfigError
from totalflex_env.flexoffer.grouping import Bins, Grouping, Weight, group, number
from totalflex_env.trade_types import FlexOfferBatch

Box = Callable[[list[list[float]], list[list[float]]], FlexOfferBatch]


def timed(box: Box, earliest: list[int], flexibility: list[int], energy: list[float]) -> FlexOfferBatch:
    """Offers of one slice of 0 to `energy` kWh."""
    offers = box([[0.0] for _ in energy], [[most] for most in energy])
    first = torch.tensor(earliest)
    return replace(offers, earliest=first, latest=first + torch.tensor(flexibility))


def grouped(offers: FlexOfferBatch, grouping: Grouping) -> tuple[list[int], list[bool]]:
    result, apart = group(offers, torch.zeros_like(offers.earliest), grouping)
    return result.tolist(), apart.tolist()


def test_tolerances_bins_and_what_stays_apart(box: Box) -> None:
    offers = timed(box, [0, 1, 2, 3, 4, 4, 4], [0, 0, 0, 0, 0, 0, 5], [1.0] * 7)
    assert grouped(offers, Grouping()) == ([0, 1, 2, 3, 4, 4, 5], [False] * 7)
    pairs = Grouping(earliest_tolerance=1, flexibility_tolerance=4, bins=Bins(least=2))
    assert grouped(offers, pairs) == ([0, 0, 1, 1, 2, 2, 3], [False] * 6 + [True])
    threes = Grouping(earliest_tolerance=9, flexibility_tolerance=4, bins=Bins(least=2, most=3))
    result, apart = grouped(offers, threes)
    assert sorted(torch.tensor(result).bincount().tolist()) == [1, 3, 3]
    assert apart == [False] * 6 + [True]


def test_offers_that_are_kept_apart_share_no_group(box: Box) -> None:
    result, _ = group(timed(box, [0] * 4, [0] * 4, [1.0] * 4), torch.tensor([0, 5, 0, 5]), Grouping())
    assert result.tolist() == [0, 1, 0, 1]


def test_an_offer_heavier_than_a_bin_is_reported_and_nothing_is_lost(box: Box) -> None:
    offers = timed(box, [0] * 5, [0] * 5, [9.0, 1.0, 2.0, 3.0, 0.75])
    result, apart = grouped(offers, Grouping(bins=Bins(Weight.ENERGY, least=1.0, most=3.5)))
    assert apart == [True, False, False, False, True]  # by weight: 9 | 3 | 2, 1 | 0.75, of which 0.75 is too light
    assert len(set(result)) == 4
    assert result[1] == result[2]


def one_by_one(cells: list[int], weights: list[int], most: int) -> list[int]:
    """Next-fit told as a loop."""
    order = sorted(range(len(cells)), key=lambda i: (cells[i], -weights[i]))
    bins, bin_, filled, cell = [0] * len(cells), -1, 0, -1
    for i in order:
        if cells[i] != cell or filled + weights[i] > most:
            bin_, filled, cell = bin_ + 1, 0, cells[i]
        bins[i], filled = bin_, filled + weights[i]
    return bins


offers_in_time = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), min_size=1, max_size=60)


@given(drawn=offers_in_time, most=st.integers(1, 12))
def test_bins_are_those_of_packing_one_by_one(drawn: list[tuple[int, int]], most: int, box: Box) -> None:
    earliest, flexibility = (list(column) for column in zip(*drawn, strict=True))
    offers = timed(box, earliest, flexibility, [1.0] * len(drawn))
    grouping = Grouping(flexibility_tolerance=9, bins=Bins(Weight.TIME_FLEXIBILITY, most=most))
    expected = one_by_one(earliest, flexibility, most)
    assert grouped(offers, grouping)[0] == expected


@given(drawn=offers_in_time, weight=st.sampled_from(Weight), least=st.integers(0, 4), most=st.integers(4, 12))
def test_every_bin_keeps_its_bounds_or_is_one_offer_apart(
    drawn: list[tuple[int, int]], weight: Weight, least: int, most: int, box: Box
) -> None:
    earliest, flexibility = (list(column) for column in zip(*drawn, strict=True))
    offers = timed(box, earliest, flexibility, [0.5 * number_ for number_ in flexibility])
    grouping = Grouping(1, 2, Bins(weight, least, most))
    result, apart = group(offers, torch.zeros_like(offers.earliest), grouping)
    weights = {Weight.COUNT: torch.ones(len(drawn)), Weight.ENERGY: offers.total_upper}
    each = weights.get(weight, offers.latest - offers.earliest).double()
    filled = torch.zeros(int(result.max()) + 1).double().index_add(0, result, each)[result]
    within = (filled >= least) & (filled <= most)
    assert torch.equal(within, ~apart)
    assert (result.bincount()[result][apart] == 1).all()
    for value, tolerance in ((offers.earliest, 1), (offers.latest - offers.earliest, 2)):
        assert (spread(value, result) <= tolerance).all()


def spread(values: Tensor, groups: Tensor) -> Tensor:
    least = torch.zeros(len(values), dtype=torch.int64).scatter_reduce(0, groups, values, "amin", include_self=False)
    return values - least[groups]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 10**8)), min_size=1, max_size=30))
def test_keys_are_numbered_in_their_order(keys: list[tuple[int, int]]) -> None:
    columns = [torch.tensor(column) for column in zip(*keys, strict=True)]
    assert number(*columns).tolist() == [sorted(set(keys)).index(key) for key in keys]


@pytest.mark.parametrize(("least", "most"), [(-1.0, 2.0), (3.0, 2.0), (0.0, 0.0), (float("nan"), 1.0)])
def test_bins_that_cannot_be_are_refused(least: float, most: float) -> None:
    with pytest.raises(ConfigError, match="bins"):
        Bins(Weight.COUNT, least, most)
