"""Flex-offers for the tests of this folder: by hand, at random, and random assignments of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from totalflex_env.flexoffer.offers import levels
from totalflex_env.trade_types import FlexOfferBatch, OfferState


@pytest.fixture(scope="session")
def box() -> Callable[[list[list[float]], list[list[float]]], FlexOfferBatch]:
    return make_box


@pytest.fixture(scope="session")
def random_offers() -> Callable[[int, int, bool], FlexOfferBatch]:
    return make_random


@pytest.fixture(scope="session")
def random_assignment() -> Callable[[FlexOfferBatch, int], tuple[Tensor, Tensor]]:
    return draw_assignment


def make_box(lower: list[list[float]], upper: list[list[float]]) -> FlexOfferBatch:
    """Offers that start in slot 0, bounded slice by slice, whose default is the lower bound."""
    low, high = torch.tensor(lower, dtype=torch.float64), torch.tensor(upper, dtype=torch.float64)
    now = torch.zeros(len(low), dtype=torch.int64)
    unbounded = torch.full_like(low, torch.inf)
    return FlexOfferBatch(
        device=torch.arange(len(low)),
        house=now,
        earliest=now,
        latest=now,
        slices=now + low.shape[1],
        lower=low,
        upper=high,
        total_lower=low.sum(1),
        total_upper=high.sum(1),
        level_lower=-unbounded,
        level_upper=unbounded,
        default_start=now,
        default=low,
        price_shift=torch.zeros_like(low[:, 0]),
        acceptance=now,
        assignment=now,
        state=now + OfferState.INITIAL,
    )


def make_random(seed: int, count: int, coupled: bool) -> FlexOfferBatch:
    """Valid offers in quarters of a kWh (exact in floating point): 1 to 5 slices, windows of 0 to 4 slots.

    With `coupled`, some have totals and levels that cut into the box. They are not tightened.
    """
    draw = torch.Generator().manual_seed(seed)

    def number(low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high + 1, shape, generator=draw)

    def quarters(high: int) -> Tensor:
        return number(0, 4 * high, count, 5) * 0.25 * number(0, 1, count, 5)

    slices = number(1, 5, count)
    inside = torch.arange(5) < slices[:, None]
    default = torch.where(inside, number(-8, 8, count, 5) * 0.25, 0.0).double()
    lower = torch.where(inside, default - quarters(2), 0.0)
    upper = torch.where(inside, default + quarters(2), 0.0)
    earliest, flexibility = number(0, 3, count), number(0, 4, count)
    offers = replace(
        make_box(lower.tolist(), upper.tolist()),
        earliest=earliest,
        latest=earliest + flexibility,
        slices=slices,
        default=default,
        default_start=earliest,
        price_shift=0.25 * number(0, 4, count).double(),
        acceptance=earliest,
        assignment=earliest + flexibility,
    )
    if not coupled:
        return offers
    level, chance = default.cumsum(1), number(0, 3, 4, count, 5) == 0
    return replace(
        offers,
        total_lower=torch.maximum(lower.sum(1), default.sum(1) - quarters(3)[:, 0]),
        total_upper=torch.minimum(upper.sum(1), default.sum(1) + quarters(3)[:, 0]),
        level_lower=torch.where(chance[0] & inside, level - quarters(1), -torch.inf),
        level_upper=torch.where(chance[1] & inside, level + quarters(1), torch.inf),
    )


def draw_assignment(offers: FlexOfferBatch, seed: int) -> tuple[Tensor, Tensor]:
    """A random assignment of every offer: slice by slice anywhere, or at an end, in what keeps the rest possible."""
    draw = torch.Generator().manual_seed(seed)
    span = offers.latest - offers.earliest + 1
    start = offers.earliest + (torch.rand(len(span), generator=draw) * span).long()
    energy, (floor, ceiling) = torch.zeros_like(offers.lower), (bound.clone() for bound in levels(offers))
    for k in reversed(range(energy.shape[1] - 1)):  # levels from which the later ones can be reached
        floor[:, k] = torch.maximum(floor[:, k], floor[:, k + 1] - offers.upper[:, k + 1])
        ceiling[:, k] = torch.minimum(ceiling[:, k], ceiling[:, k + 1] - offers.lower[:, k + 1])
    level = torch.zeros_like(energy[:, 0])
    for k in range(energy.shape[1]):
        least = torch.maximum(offers.lower[:, k], floor[:, k] - level)
        most = torch.minimum(offers.upper[:, k], ceiling[:, k] - level)
        where = (3.0 * torch.rand(len(span), generator=draw) - 1.0).clamp(0.0, 1.0)
        energy[:, k] = least + where * (most - least)
        level = level + energy[:, k]
    return start, energy
