"""The order book: how ranges become segments, and how floats become whole numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from totalflex_env import batch
from totalflex_env.devices.family import Range
from totalflex_env.market.clearing import clear
from totalflex_env.market.orders import Background, book, energy_kwh, limit_kva, released, segments
from totalflex_env.types import Action, Params

ROWS = 200


def uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=generator, dtype=torch.float64) * (high - low) + low


def random_action(generator: torch.Generator) -> Action:
    less = uniform(generator, -0.5, 1.0, ROWS, 5)
    return Action(
        target_kwh=uniform(generator, -3.0, 4.0, ROWS, 5),
        worth_less=less,
        worth_more=less - uniform(generator, 0.0, 0.5, ROWS, 5),
        release=torch.ones(ROWS, 3, dtype=torch.float64),
        markup=uniform(generator, 0.0, 0.2, ROWS, 3),
        brp_price=uniform(generator, -1.0, 1.0, ROWS, 4).sort(dim=1).values,
        brp_kwh=uniform(generator, 0.0, 4.0, ROWS, 4),
        brp_start_kwh=uniform(generator, -20.0, 5.0, ROWS),
        dso_share=uniform(generator, 0.2, 1.0, ROWS),
        dso_price=uniform(generator, 0.5, 1.0, ROWS),
        traded=True,
    )


def random_range(generator: torch.Generator) -> Range:
    ends = uniform(generator, -2.0, 3.0, ROWS, 5, 3).sort(dim=2).values
    return Range(ends[..., 0], ends[..., 2], ends[..., 1])


def random_background(generator: torch.Generator) -> Background:
    return Background(
        house_kwh=uniform(generator, -4.0, 4.0, ROWS, 3),
        house_kvarh=uniform(generator, -2.0, 2.0, ROWS, 3),
        wind_kwh=uniform(generator, 0.0, 9.0, ROWS),
        nomination_kwh=uniform(generator, -9.0, 9.0, ROWS),
    )


def one(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float64)


@pytest.mark.parametrize(
    ("target", "ends", "worth"),
    [
        (5.0, [0.0, 2.0, 5.0, 6.0], [0.35, 0.25, 0.05]),  # default 2 below the target
        (1.0, [0.0, 1.0, 2.0, 6.0], [0.35, 0.15, 0.05]),  # default 2 above it
        (2.0, [0.0, 2.0, 2.0, 6.0], [0.35, 0.15, 0.05]),
        (9.0, [0.0, 2.0, 6.0, 6.0], [0.35, 0.25, 0.05]),  # beyond the range: cut at its end
        (-9.0, [0.0, 0.0, 2.0, 6.0], [0.35, 0.15, 0.05]),
    ],
)
def test_a_range_is_cut_at_target_and_default(target: float, ends: list[float], worth: list[float]) -> None:
    action = replace(random_action(torch.Generator()), target_kwh=one(target), worth_less=one(0.3), worth_more=one(0.1))
    cuts, prices = segments(action, one(0.05), Range(one(0.0), one(6.0), one(2.0)))
    assert torch.equal(cuts[0, :, 0], torch.tensor(ends, dtype=torch.float64))
    torch.testing.assert_close(prices[0, :, 0], torch.tensor(worth, dtype=torch.float64))


def test_every_kilowatt_hour_has_its_worth() -> None:
    """The piece around any energy is worth what the aggregator and the prosumer together say of that energy."""
    generator = torch.Generator().manual_seed(1)
    action, offered = random_action(generator), random_range(generator)
    markup = uniform(generator, 0.0, 0.2, ROWS, 5)
    ends, worth = segments(action, markup, offered)
    for _ in range(20):
        energy = torch.lerp(offered.lower, offered.upper, uniform(generator, 0.0, 1.0, ROWS, 5))
        piece = (energy[:, None] >= ends[:, 1:3]).sum(1, keepdim=True)
        aggregator = torch.where(energy < action.target_kwh, action.worth_less, action.worth_more)
        prosumer = torch.where(energy < offered.default, markup, -markup)
        torch.testing.assert_close(worth.gather(1, piece)[:, 0], aggregator + prosumer)


def test_prices_of_a_device_fall_along_its_range() -> None:
    generator = torch.Generator().manual_seed(2)
    _, worth = segments(random_action(generator), uniform(generator, 0.0, 0.2, ROWS, 5), random_range(generator))
    assert bool((worth.diff(dim=1) <= 0).all())


def test_released_share(params: Params) -> None:
    """House 0 keeps everything at its default, house 1 releases all, house 2 half."""
    generator = torch.Generator().manual_seed(3)
    allowed = random_range(generator)
    action = replace(random_action(generator), release=one(0.0, 1.0, 0.5).expand(ROWS, 3))
    offered = released(params, action, allowed)
    for house, limits in ((0, allowed.default), (1, allowed.lower), (2, (allowed.default + allowed.lower) / 2)):
        torch.testing.assert_close(offered.lower[:, params.house == house], limits[:, params.house == house])
    assert torch.equal(offered.upper[:, params.house == 1], allowed.upper[:, params.house == 1])
    assert torch.equal(offered.upper[:, params.house == 0], allowed.default[:, params.house == 0])


def test_the_book_in_whole_numbers(params: Params) -> None:
    """The quarter-hour limits are 40 kVA / 4 * 0.5 = 5 kVAh, beside 3 kvarh 4 kWh, and 100 / 4 * 0.5 = 12.5 kVAh."""
    action = Action(
        target_kwh=one(1.0, 1.0, 0.0, 0.0, 2.0),
        worth_less=one(4.0, 0.25, 9.0, 0.25, 0.25),
        worth_more=one(-4.0, 0.05, -9.0, 0.05, 0.05),
        release=one(1.0, 1.0, 1.0),
        markup=one(0.0, 0.1, 0.0),
        brp_price=one(-5.0, 0.2, 5.0),
        brp_kwh=one(1.0, 2.0, 3.0),
        brp_start_kwh=one(-1.5)[0],
        dso_share=one(0.5)[0],
        dso_price=one(1.0)[0],
        traded=True,
    )
    offered = Range(one(0.5, 0.0, -1.0, 0.0, 2.0), one(2.0, 1.0, 1.0, 0.0, 2.0), one(0.75, 0.25, 0.0, 0.0, 2.0))
    background = Background(one(1.0, -2.0, 0.25), one(0.0, 0.0, 3.0), one(0.5)[0], one(1.0)[0])
    orders = book(params, action, offered, background)
    kwh = 10**6
    lowest, middle, upper = (orders.quantity[0].view(3, 5) / kwh).tolist()
    assert lowest == [0.25, 0.25, 1.0, 0.0, 0.0]
    assert middle == [0.25, 0.75, 0.0, 0.0, 0.0]
    assert upper == [1.0, 0.0, 1.0, 0.0, 0.0]
    assert orders.price[0].view(3, 5)[:, :2].tolist() == [
        [4_000_000, 350_000],
        [4_000_000, 150_000],
        [-4_000_000, -50_000],
    ]
    assert orders.price[0].view(3, 5)[:, 2].tolist() == [4_000_000, -4_000_000, -4_000_000]  # 9 is above the cap
    assert orders.house.tolist() == [0, 1, 2, 0, 1] * 3
    assert orders.fixed[0].tolist() == [1_500_000, 0, -750_000]  # base less PV, and the lower limits of the devices
    assert orders.position.tolist() == [750_000 - 500_000 - 1_000_000]
    assert orders.brp_price[0].tolist() == [-4_000_000, 200_000, 4_000_000]
    assert (orders.brp_quantity[0].tolist(), orders.brp_start.tolist()) == ([kwh, 2 * kwh, 3 * kwh], [-1_500_000])
    assert orders.limit[0].tolist() == [4 * kwh, round((12.5**2 - 3.0**2) ** 0.5 * kwh)]
    assert orders.cap.tolist() == [1_000_000]


def test_reactive_energy_may_leave_nothing(params: Params) -> None:
    generator = torch.Generator().manual_seed(4)
    background = replace(random_background(generator), house_kvarh=torch.full((ROWS, 3), 100.0, dtype=torch.float64))
    assert not book(params, random_action(generator), random_range(generator), background).limit.any()


def test_elements_in_parallel_share_a_flow(params: Params) -> None:
    """Two equal cables of 40 kVA feed house 2: each carries half, so 80 kVA may flow; one cable is full at 40 kVA."""
    half = replace(params, grid=replace(params.grid, downstream=params.grid.downstream / 2.0))
    assert limit_kva(params).tolist() == [40.0, 100.0]
    assert limit_kva(half).tolist() == [80.0, 200.0]


def test_a_firm_target_is_met_to_the_milliwatt_hour(params: Params) -> None:
    """Prices of the BRP, two overloads and the markup stay below the cap of 4, so every device gets its target."""
    generator = torch.Generator().manual_seed(5)
    action, offered = random_action(generator), random_range(generator)
    cap = torch.full_like(action.target_kwh, params.config.market.price_cap)
    firm = replace(action, worth_less=cap, worth_more=-cap)
    award = clear(book(params, firm, offered, random_background(generator)))
    wanted = action.target_kwh.clamp(offered.lower, offered.upper)
    torch.testing.assert_close(energy_kwh(award, offered), wanted, rtol=0.0, atol=0.6e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_energies_stay_in_their_range(params: Params, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(6)
    action, offered = batch.to(random_action(generator), dtype), batch.to(random_range(generator), dtype)
    orders = book(params, action, offered, batch.to(random_background(generator), dtype))
    award = clear(orders)
    energy = energy_kwh(award, offered)
    assert energy.dtype == dtype
    assert bool((energy >= offered.lower - 1e-6).all()) and bool((energy <= offered.upper + 1e-6).all())
    assert 0.1 < float(award.accepted.sum() / orders.quantity.sum()) < 0.9  # some are served, some are not


def test_limits_that_meet_may_cross_by_a_rounding_error(params: Params) -> None:
    generator = torch.Generator().manual_seed(7)
    offered = random_range(generator)
    pinned = Range(offered.upper + 0.5e-6, offered.upper, offered.upper)
    orders = book(params, random_action(generator), pinned, random_background(generator))
    assert bool((orders.quantity >= 0).all())


def test_a_world_without_devices(params: Params) -> None:
    generator = torch.Generator().manual_seed(8)
    none = torch.zeros(ROWS, 0, dtype=torch.float64)
    empty = replace(params, house=torch.zeros(0, dtype=torch.int64))
    action = replace(random_action(generator), target_kwh=none, worth_less=none, worth_more=none)
    award = clear(book(empty, action, Range(none, none, none), random_background(generator)))
    assert energy_kwh(award, Range(none, none, none)).shape == (ROWS, 0)
