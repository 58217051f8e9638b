from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from random import Random

import numpy as np
import pytest
import torch
from torch import Tensor

from totalflex_env.config import EnvConfig, MarketConfig
from totalflex_env.grid_model import GridModel
from totalflex_env.market.book import AuctionBook, FlexOrders, GridLimits, StepCurves, midnight, must_run, no_limits
from totalflex_env.trade_types import FlexOfferBatch
from totalflex_env.types import Params


@pytest.fixture(scope="session")
def params() -> Params:
    """Three houses with five devices; house 2 alone is behind element 2 (40 kVA), all behind element 0 (100 kVA)."""
    nothing = torch.zeros(0, dtype=torch.float64)
    rating = torch.tensor([100.0, 999.0, 40.0], dtype=torch.float64)
    grid = {field.name: nothing for field in fields(GridModel)} | {"rating_kva": rating}
    grid["downstream"] = torch.ones(3, 3, dtype=torch.float64)
    return Params(
        config=EnvConfig(
            name="market", market=MarketConfig(aggregator_share=0.2, non_delivery_price=0.3, price_cap=4.0)
        ),
        families=(),
        kinds=(),
        house=torch.tensor([0, 1, 2, 0, 1]),
        node=torch.tensor([0, 1, 2]),
        grid=GridModel(**grid),  # type: ignore[arg-type]
        limited=torch.tensor([2, 0]),
        members=torch.tensor([[False, False, True], [True, True, True]]),
        slot_hours=0.25,
        aggregator=torch.zeros(3, dtype=torch.int64),
    )


SLOTS, NODES, WIDTH = 5, 3, 3  # of the random books


class Market:
    """Small books of an auction on a line of `nodes` nodes behind a transformer."""

    def offers(
        self,
        lower: Sequence[Sequence[float]],
        upper: Sequence[Sequence[float]],
        window: Sequence[tuple[int, int]],
        default: Sequence[Sequence[float]] | None = None,
        total: Sequence[tuple[float, float]] | None = None,
    ) -> FlexOfferBatch:
        """Offers that start in `window`, by default at its begin and with the least energies."""
        low, high = torch.tensor(lower, dtype=torch.float64), torch.tensor(upper, dtype=torch.float64)
        start, endless = torch.tensor(window), torch.full_like(low, torch.inf)
        sums = torch.stack([low.sum(1), high.sum(1)], 1) if total is None else torch.tensor(total, dtype=torch.float64)
        return FlexOfferBatch(
            device=torch.arange(len(low)),
            house=torch.zeros(len(low), dtype=torch.int64),
            earliest=start[:, 0],
            latest=start[:, 1],
            slices=torch.full((len(low),), low.shape[1]),
            lower=low,
            upper=high,
            total_lower=sums[:, 0],
            total_upper=sums[:, 1],
            level_lower=-endless,
            level_upper=endless,
            default_start=start[:, 0],
            default=low if default is None else torch.tensor(default, dtype=torch.float64),
            price_shift=torch.zeros(len(low), dtype=torch.float64),
            acceptance=torch.zeros(len(low), dtype=torch.int64),
            assignment=torch.zeros(len(low), dtype=torch.int64),
            state=torch.ones(len(low), dtype=torch.int64),
        )

    def book(
        self, orders: FlexOrders, price: Sequence[Sequence[float]], quantity: float, limits: GridLimits | None = None
    ) -> AuctionBook:
        """A book with one BRP: relieved of up to `quantity` kWh below the middle price, supplying as much above it."""
        steps = torch.tensor(price, dtype=torch.float64)[None]
        size = torch.full_like(steps, quantity)
        start = -quantity * (steps.shape[2] // 2) * torch.ones_like(steps[..., 0])
        curves = StepCurves(torch.tensor([0]), start, size, steps)
        slots = orders.position.shape[1]
        return AuctionBook(midnight(2024, 1, 22), 0.25, 0.0, 200.0, orders, curves, limits or no_limits(3, slots))

    def prices(self, *values: float) -> Tensor:
        """Prices of orders."""
        return torch.tensor(values, dtype=torch.float64)


def _random_orders(random: Random, count: int, rigid: bool) -> FlexOrders:
    """Orders of up to three slices that may wait, some optional, some in pairs of which one runs, some linked."""
    draw = np.random.default_rng(random.randrange(2**32))
    slices = draw.integers(1, WIDTH + 1, count)
    inside = np.arange(WIDTH) < slices[:, None]
    lower = np.where(inside, draw.integers(0, 3, (count, WIDTH)), 0.0)
    upper = np.where(inside, lower + (0 if rigid else draw.integers(0, 3, (count, WIDTH))), 0.0)
    earliest = draw.integers(0, SLOTS - slices + 1)
    latest = np.minimum(earliest + draw.integers(0, 3, count), SLOTS - slices)
    default = np.where(inside, (lower + upper) / 2.0, 0.0)
    low, high = lower.sum(1), upper.sum(1)
    sums = default.sum(1)
    tight = draw.random(count) < 0.5
    endless = torch.full((count, WIDTH), torch.inf, dtype=torch.float64)
    offers = FlexOfferBatch(
        device=torch.arange(count),
        house=torch.zeros(count, dtype=torch.int64),
        earliest=torch.tensor(earliest),
        latest=torch.tensor(latest),
        slices=torch.tensor(slices),
        lower=torch.tensor(lower),
        upper=torch.tensor(upper),
        total_lower=torch.tensor(np.where(tight, sums, low)),
        total_upper=torch.tensor(np.where(tight, sums, high)),
        level_lower=-endless,
        level_upper=endless,
        default_start=torch.tensor(earliest),
        default=torch.tensor(default),
        price_shift=torch.tensor(draw.integers(0, 4, count) / 10.0),
        acceptance=torch.zeros(count, dtype=torch.int64),
        assignment=torch.zeros(count, dtype=torch.int64),
        state=torch.ones(count, dtype=torch.int64),
    )
    prices = torch.tensor(draw.integers(0, 8, (2, count)) / 10.0)
    orders = must_run(offers, torch.tensor(draw.integers(0, NODES, count)), SLOTS, prices[0], prices[1])
    optional = torch.tensor(draw.random(count) < 0.4)
    orders = replace(
        orders,
        must_run=~optional,
        position=torch.where(optional[:, None], 0.0, orders.position),
        worth=torch.where(optional, torch.tensor(draw.integers(0, 40, count) / 10.0), 0.0),
    )
    free = optional.nonzero()[:, 0].tolist()
    group, parent = orders.group.clone(), orders.parent.clone()
    if len(free) >= 2 and random.random() < 0.5:
        group[free[:2]] = 7
    elif len(free) >= 2:
        parent[free[1]] = free[0]
    return replace(orders, group=group, parent=parent)


def _random_book(seed: int, count: int, rigid: bool = False) -> AuctionBook:
    """A book of some orders on three nodes in a row, with two BRPs, two elements and a voltage."""
    random = Random(seed)
    draw = np.random.default_rng(seed)
    orders = _random_orders(random, count, rigid)
    quantity = torch.tensor(draw.integers(1, 5, (2, SLOTS, 4)) * 1.0)
    price = torch.tensor(np.sort(draw.integers(-3, 12, (2, SLOTS, 4)), axis=2) / 10.0)
    curves = StepCurves(torch.tensor([0, 1]), -quantity[..., :2].sum(2), quantity, price)
    behind = torch.tensor([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0], [-0.01, -0.02, -0.04]], dtype=torch.float64)
    taken = torch.zeros(NODES, SLOTS, dtype=torch.float64).index_add(0, orders.node, orders.position)
    base = behind @ (taken + torch.tensor(draw.integers(0, 3, (NODES, SLOTS)) * 1.0)) + torch.tensor(
        [[0.0], [0.0], [1.0]]
    )
    limit = torch.tensor([[7.0], [4.0], [0.2]], dtype=torch.float64).expand(-1, SLOTS)
    lower = torch.stack([-limit[0], -limit[1], 1.0 - limit[2]])
    upper = torch.stack([limit[0], limit[1], 1.0 + limit[2]])
    endless = torch.full_like(base, torch.inf)
    rise = endless.clone()
    rise[0] = 2.0
    cap = torch.tensor([[3.0], [3.0], [40.0]], dtype=torch.float64).expand(-1, SLOTS)
    voltage = torch.tensor([False, False, True])
    limits = GridLimits(("T1", "line", "node"), voltage, behind, base, lower, upper, endless, rise, cap)
    return AuctionBook(midnight(2024, 1, 22), 0.25, 0.0, 5.0, orders, curves, limits)


@pytest.fixture(scope="session")
def market() -> Market:
    """Makes small books."""
    return Market()


@pytest.fixture(scope="session")
def random_book() -> Callable[..., AuctionBook]:
    """Makes a random book from a seed, a number of orders, and whether all their profiles are fixed (`rigid`)."""
    return _random_book
