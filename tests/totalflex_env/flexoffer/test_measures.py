"""The measures against brute force over every assignment in quarters of a kWh, and the worked example."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product as combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.flexoffer import measures
from totalflex_env.flexoffer.grouping import ALIKE
from totalflex_env.flexoffer.offers import contains, load, tighten
from totalflex_env.flexoffer.start_alignment import align
from totalflex_env.trade_types import FlexOfferBatch

Box = Callable[[list[list[float]], list[list[float]]], FlexOfferBatch]
RandomOffers = Callable[[int, int, bool], FlexOfferBatch]
QUARTER, SLOTS = 0.25, 16


@pytest.fixture
def example(box: Box) -> FlexOfferBatch:
    """Starts in slots 1 to 6, slices of 1..3, 2..4, 0..5 and 0..3 kWh."""
    offers = box([[1.0, 2.0, 0.0, 0.0]], [[3.0, 4.0, 5.0, 3.0]])
    return replace(offers, earliest=torch.tensor([1]), latest=torch.tensor([6]), default_start=torch.tensor([1]))


def every_assignment(offer: FlexOfferBatch) -> Tensor:
    """The loads [A, SLOTS] of all assignments of one offer in quarters of a kWh; none has more than a few thousand."""
    slices = int(offer.slices)
    steps = [
        [QUARTER * k for k in range(math.ceil(low / QUARTER), math.floor(high / QUARTER) + 1)]
        for low, high in zip(offer.lower[0, :slices].tolist(), offer.upper[0, :slices].tolist(), strict=True)
    ]
    energy = torch.tensor(list(combinations(*steps)), dtype=torch.float64)
    energy = torch.nn.functional.pad(energy, (0, offer.lower.shape[1] - slices))
    offers = take_rows(offer, torch.zeros(len(energy), dtype=torch.int64))
    inside = contains(offers, offers.earliest, energy)
    some, energy = take_rows(offers, inside), energy[inside]
    starts = range(int(offer.earliest), int(offer.latest) + 1)
    return torch.cat([load(some, torch.full_like(some.earliest, start), energy, SLOTS) for start in starts])


def small(seed: int, coupled: bool, random_offers: RandomOffers) -> FlexOfferBatch:
    """One tightened offer with at most three slices that vary, so that its assignments can be listed."""
    offer = random_offers(seed, 1, coupled)
    fixed = torch.arange(5) >= 3
    lower, upper = (torch.where(fixed, offer.default, bound) for bound in (offer.lower, offer.upper))
    return tighten(replace(offer, lower=lower, upper=upper))


@settings(max_examples=60)
@given(seed=st.integers(0, 100_000), coupled=st.booleans())
def test_measures_are_those_of_all_assignments(seed: int, coupled: bool, random_offers: RandomOffers) -> None:
    offer = small(seed, coupled, random_offers)
    loads = every_assignment(offer)
    totals = loads.sum(1)
    begins = int(offer.latest) - int(offer.earliest) + 1
    assert measures.assignments(offer, QUARTER) == [len(loads)]
    assert int(measures.time(offer)) == begins - 1
    assert float(measures.energy(offer)) == pytest.approx(float(totals.max() - totals.min()), abs=1e-9)
    covered = loads.amax(0).clamp(min=0.0).sum() - loads.amin(0).clamp(max=0.0).sum()
    must = 0.0 if totals.min() <= 0.0 <= totals.max() else totals.abs().min()
    assert float(measures.absolute_area(offer)) == pytest.approx(float(covered - must), abs=1e-9)
    each = len(loads) // begins
    greatest, least = loads[-each:].amax(0), loads[:each].amin(0)
    assert float(measures.series(offer)) == pytest.approx(float((greatest - least).norm()), abs=1e-9)


@settings(max_examples=40)
@given(seed=st.integers(0, 100_000), coupled=st.booleans(), first=st.integers(0, 8), length=st.integers(1, 6))
def test_ranges_are_those_of_all_assignments(
    seed: int, coupled: bool, first: int, length: int, random_offers: RandomOffers
) -> None:
    offer = small(seed, coupled, random_offers)
    loads = every_assignment(offer)
    price = torch.randn(SLOTS, generator=torch.Generator().manual_seed(seed)).double()
    bills = loads @ price
    assert float(measures.support_range(offer, price)) == pytest.approx(float(bills.max() - bills.min()), abs=1e-9)
    within = loads[:, first : first + length].sum(1)
    least, most = measures.interval_range(offer, first, first + length, SLOTS)
    assert (float(least), float(most)) == pytest.approx((float(within.min()), float(within.max())), abs=1e-9)


def test_the_worked_example(example: FlexOfferBatch) -> None:
    assert int(measures.time(example)) == 5
    assert float(measures.energy(example)) == 12.0
    assert float(measures.product(example)) == 60.0
    assert measures.vector(example).tolist() == [[5.0, 12.0]]
    assert float(measures.vector_length(example, 1.0)) == 17.0
    assert float(measures.vector_length(example)) == 13.0
    assert float(measures.series(example)) == pytest.approx(math.sqrt(1 + 4 + 9 + 16 + 25 + 9))
    assert measures.assignments(example, 1.0) == [6 * 3 * 3 * 6 * 4]
    assert float(measures.absolute_area(example)) == 3 + 4 + 6 * 5 + 3 - 3
    assert float(measures.relative_area(example)) == pytest.approx(2 * 37 / (3 + 15))


def test_production_measures_like_consumption(example: FlexOfferBatch) -> None:
    mirrored = replace(
        example,
        lower=-example.upper,
        upper=-example.lower,
        total_lower=-example.total_upper,
        total_upper=-example.total_lower,
        default=-example.default,
    )
    for measure in (measures.energy, measures.product, measures.absolute_area, measures.relative_area):
        assert float(measure(mirrored)) == float(measure(example))
    assert measures.assignments(mirrored, 1.0) == measures.assignments(example, 1.0)


def test_counts_are_exact_beyond_any_float(box: Box) -> None:
    wide = box([[0.0] * 20], [[999.0] * 20])
    assert measures.assignments(wide, 1.0) == [1000**20]


def test_nothing_to_exchange_has_no_size(box: Box) -> None:
    assert measures.relative_area(box([[0.0]], [[0.0]])).tolist() == [0.0]
    assert measures.relative_area(box([[1.0, -1.0]], [[1.0, -1.0]])).tolist() == [math.inf]
    nothing = take_rows(box([[0.0]], [[1.0]]), torch.zeros(0, dtype=torch.int64))
    assert measures.assignments(nothing, 1.0) == []
    assert measures.series(nothing).shape == measures.absolute_area(nothing).shape == (0,)


@given(seed=st.integers(0, 100_000))
def test_energy_flexibility_of_boxes_adds_up(seed: int, random_offers: RandomOffers) -> None:
    offers = tighten(random_offers(seed, 12, False))
    together = align(offers, ALIKE).offers
    assert float(measures.energy(together).sum()) == pytest.approx(float(measures.energy(offers).sum()), abs=1e-9)
