from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.evaluation.auction_check import check, clear_checked, grid_limits
from totalflex_env.grid import network
from totalflex_env.grid_model import GridModel
from totalflex_env.market.auction import clear
from totalflex_env.market.book import AuctionBook, StepCurves, midnight, must_run
from totalflex_env.trade_types import FlexOfferBatch

SLOTS, HOURS = 8, 0.25


def vehicles(count: int, kwh: float) -> FlexOfferBatch:
    """Vehicles that charge at once by default and may take until the end of the day."""
    upper = torch.full((count, SLOTS), kwh, dtype=torch.float64)
    default = upper.clone()
    default[:, 2:] = 0.0
    zero, endless = torch.zeros(count, dtype=torch.int64), torch.full_like(upper, torch.inf)
    return FlexOfferBatch(
        device=torch.arange(count),
        house=zero,
        earliest=zero,
        latest=zero,
        slices=zero + SLOTS,
        lower=0.0 * upper,
        upper=upper,
        total_lower=default.sum(1),
        total_upper=default.sum(1),
        level_lower=-endless,
        level_upper=endless,
        default_start=zero,
        default=default,
        price_shift=0.0 * upper[:, 0],
        acceptance=zero,
        assignment=zero,
        state=zero + 1,
    )


@pytest.fixture(scope="module")
def feeder() -> tuple[GridModel, AuctionBook, tuple[Tensor, Tensor]]:
    """A feeder whose cable four vehicles overload by default, its book, and what is consumed at the positions."""
    grid = network.from_pandapower(network.two_house_feeder())
    nodes = len(grid.node_names)
    cable = int(grid.rating_kva.argmin())
    behind = grid.downstream[cable].nonzero()[:, 0]
    count = 4
    power = float(grid.rating_kva[cable]) / count * 1.2
    node = behind[-1].expand(count).contiguous()
    orders = must_run(vehicles(count, power * HOURS), node, SLOTS, *torch.full((2, count), 0.01).double())
    active = torch.full((SLOTS, nodes), 0.5, dtype=torch.float64)
    active.T.index_add_(0, node, orders.position / HOURS)
    reactive = torch.full_like(active, 0.1)
    limits = grid_limits(grid, active, reactive, HOURS, (3.0, 1000.0))
    plenty = torch.full((1, SLOTS, 2), 1000.0, dtype=torch.float64)
    price = torch.tensor([0.1, 0.12], dtype=torch.float64).expand(1, SLOTS, 2)
    curves = StepCurves(torch.tensor([0]), -plenty[..., 0], plenty, price)
    book = AuctionBook(midnight(2024, 1, 22), HOURS, 0.0, 4.0, orders, curves, limits)
    return grid, book, (active, reactive)


def test_the_auction_relieves_the_grid_by_ac_too(feeder: tuple[GridModel, AuctionBook, tuple[Tensor, Tensor]]) -> None:
    grid, book, consumption = feeder
    found = check(grid, clear(book), *consumption)
    assert found.unsolved == 0
    assert found.overload_before > 1.0
    assert found.overload < 0.2 * found.overload_before  # losses and lower voltages are what the linear grid leaves out
    assert found.overload <= SLOTS * found.element_error
    assert found.voltage <= found.voltage_before
    assert found.voltage_error < 0.01


def test_one_correction_by_ac_leaves_nearly_no_overload(
    feeder: tuple[GridModel, AuctionBook, tuple[Tensor, Tensor]],
) -> None:
    grid, book, consumption = feeder
    first = check(grid, clear(book), *consumption)
    second, found = clear_checked(grid, book, consumption)
    assert first.overload > 0.1
    assert found.overload < 0.02 * first.overload
    assert found.voltage_error < 0.5 * first.voltage_error
    assert found.unsolved == 0
    assert abs(second.payments.residual) < 1e-9


def test_what_keeps_its_limits_is_cleared_once(feeder: tuple[GridModel, AuctionBook, tuple[Tensor, Tensor]]) -> None:
    grid, book, (active, reactive) = feeder
    idle = 0.1 * active
    wide = replace(book, limits=grid_limits(grid, idle, reactive, HOURS, (3.0, 1000.0)))
    nobody = replace(wide, orders=take_rows(book.orders, torch.zeros(0, dtype=torch.int64)))
    cleared, found = clear_checked(grid, nobody, (idle, reactive))
    assert found.overload == 0.0
    assert torch.equal(cleared.book.limits.base, wide.limits.base)
