"""Price responses against a linear program and against brute force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from totalflex_env.batch import take_rows, to
from totalflex_env.errors import OfferError
from totalflex_env.flexoffer.offers import contains, levels
from totalflex_env.flexoffer.respond import respond
from totalflex_env.trade_types import FlexOfferBatch

Box = Callable[[list[list[float]], list[list[float]]], FlexOfferBatch]
RandomOffers = Callable[[int, int, bool], FlexOfferBatch]


def prices(seed: int, slots: int) -> torch.Tensor:
    """Prices in tenths with ties, zeros and negative ones among them."""
    draw = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randint(-5, 6, (slots,), generator=draw).double()


def least_cost(offers: FlexOfferBatch, n: int, price: torch.Tensor) -> float:
    """The cost of offer n by a linear program for every start."""
    width = int(offers.slices[n])
    bounds = torch.stack([offers.lower[n], offers.upper[n]], dim=1)[:width].numpy()
    low, high = (bound[n, :width].numpy() for bound in levels(offers))
    sums = np.tril(np.ones((width, width)))
    rows = np.vstack([sums[np.isfinite(high)], -sums[np.isfinite(low)]])
    limits = np.concatenate([high[np.isfinite(high)], -low[np.isfinite(low)]])
    costs = []
    for start in range(int(offers.earliest[n]), int(offers.latest[n]) + 1):
        found = linprog(price[start : start + width].numpy(), A_ub=rows, b_ub=limits, bounds=bounds, method="highs")
        assert found.status == 0
        costs.append(found.fun + float(offers.price_shift[n]) * abs(start - int(offers.default_start[n])))
    return min(costs)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_response_costs_what_a_linear_program_says(seed: int, random_offers: RandomOffers) -> None:
    offers = random_offers(seed, 6, True)
    price = prices(seed, 12)
    start, energy = respond(offers, price)
    assert contains(offers, start, energy).all()
    slot = start[:, None] + torch.arange(5)
    cost = (price[slot] * energy).sum(1) + offers.price_shift * (start - offers.default_start).abs()
    expected = torch.tensor([least_cost(offers, n, price) for n in range(6)], dtype=torch.float64)
    torch.testing.assert_close(cost, expected, rtol=0.0, atol=1e-8)


def test_long_storage_against_a_linear_program(box: Box) -> None:
    """A battery over a day, whose levels bind again and again."""
    draw = torch.Generator().manual_seed(5)
    offers = box([[-1.0] * 96], [[1.25] * 96])
    ceiling = 3.0 + torch.rand(1, 96, generator=draw).double()
    offers = replace(offers, level_lower=ceiling - 7.0, level_upper=ceiling, total_lower=torch.tensor([0.5]).double())
    price = torch.randn(96, generator=draw).double()
    start, energy = respond(offers, price)
    assert contains(offers, start, energy).all()
    assert float(price @ energy[0]) == pytest.approx(least_cost(offers, 0, price), abs=1e-8)


def test_vehicle_charges_in_its_cheapest_slots(box: Box) -> None:
    """Needs 2.5 kWh at 1 kWh per slot; cheapest are slots 2, 0, then 3."""
    need = torch.tensor([2.5]).double()
    offers = replace(box([[0.0] * 4], [[1.0] * 4]), total_lower=need, total_upper=need)
    _, energy = respond(offers, torch.tensor([0.2, 0.4, 0.1, 0.3]).double())
    assert energy.tolist() == [[1.0, 0.0, 1.0, 0.5]]


def test_programme_starts_where_it_is_cheapest_with_its_delay(box: Box) -> None:
    """A run of 2 + 1 kWh: starts 0..3 cost 0.9, 0.8, 0.5, 0.7 in energy; each slot of delay costs 0.05, later 0.3."""
    offers = replace(box([[2.0, 1.0]], [[2.0, 1.0]]), latest=torch.tensor([3]))
    price = torch.tensor([0.3, 0.3, 0.2, 0.1, 0.5]).double()
    assert respond(replace(offers, price_shift=torch.tensor([0.05]).double()), price)[0].tolist() == [2]
    assert respond(replace(offers, price_shift=torch.tensor([0.30]).double()), price)[0].tolist() == [0]


def test_equally_cheap_starts_go_to_the_earliest(box: Box) -> None:
    offers = replace(box([[1.0]], [[1.0]]), latest=torch.tensor([3]))
    assert respond(offers, torch.tensor([0.5, 0.25, 0.25, 0.5]).double())[0].tolist() == [1]


def test_an_offer_responds_alike_alone_and_among_others(random_offers: RandomOffers) -> None:
    offers, price = random_offers(11, 30, True), prices(11, 12)
    start, energy = respond(offers, price)
    for n in range(30):
        alone = respond(take_rows(offers, torch.tensor([n])), price)
        assert alone[0][0] == start[n]
        torch.testing.assert_close(alone[1][0], energy[n], rtol=0.0, atol=0.0)


def test_single_precision_no_offers_and_the_end_of_the_prices(random_offers: RandomOffers) -> None:
    offers, price = to(random_offers(4, 20, True), torch.float32), prices(4, 12).float()
    start, energy = respond(offers, price)
    assert energy.dtype == torch.float32
    assert contains(offers, start, energy).all()
    assert respond(take_rows(offers, torch.zeros(0, dtype=torch.int64)), price)[1].shape == (0, 5)
    with pytest.raises(OfferError, match="end of the prices"):
        respond(offers, price[:4])
