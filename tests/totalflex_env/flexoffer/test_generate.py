"""Offers of devices: whatever assignment comes back, the devices stay within their limits and their comfort band."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from totalflex_env import fleet
from totalflex_env.batch import equal, take_rows, to
from totalflex_env.config import DevicesConfig, EnvConfig
from totalflex_env.devices.appliance import NEVER, Started, Windows
from totalflex_env.devices.battery import BatteryConfig
from totalflex_env.devices.dishwasher import DishwasherConfig
from totalflex_env.devices.ev import EvConfig
from totalflex_env.devices.freezer import FreezerConfig
from totalflex_env.devices.heat_pump import HeatPumpConfig
from totalflex_env.devices.sessions import Sessions
from totalflex_env.devices.storage import Stored
from totalflex_env.devices.thermal import Climate, Warmth
from totalflex_env.engine.build import episode_of
from totalflex_env.flexoffer.generate import generate
from totalflex_env.flexoffer.offers import load, tighten, validate
from totalflex_env.flexoffer.respond import respond
from totalflex_env.grid import network
from totalflex_env.trade_types import FlexOfferBatch, OfferState
from totalflex_env.types import DeviceState, Episode, Forecast, Params, Scenario, State

RandomAssignment = Callable[[FlexOfferBatch, int], tuple[Tensor, Tensor]]

SLOTS, ROWS = 64, 2
VEHICLES, BATTERIES, HEAT_PUMPS, FREEZERS = 3, 2, 2, 1
COUNT = VEHICLES + BATTERIES + HEAT_PUMPS + FREEZERS + 2


def world() -> Params:
    """Three vehicles (the third with lossy V2G), two lossy batteries, two heat pumps, a freezer, two dishwashers."""
    devices = DevicesConfig(
        ev=EvConfig(count=VEHICLES),
        battery=BatteryConfig(count=BATTERIES),
        heat_pump=HeatPumpConfig(count=HEAT_PUMPS),
        freezer=FreezerConfig(count=FREEZERS),
        dishwasher=DishwasherConfig(count=2),
    )
    (store, *others), kinds = fleet.build(devices, houses=2, slot_hours=0.25)
    both_ways = torch.tensor([0.0, 0.0, 1.5, 0.0, 0.0]).double()
    lossy = torch.where(both_ways > 0.0, 0.9, store.charge_efficiency)
    store = replace(store, discharge_kwh=store.discharge_kwh + both_ways, charge_efficiency=lossy)
    return params_of((store, *others), kinds, SLOTS)


def params_of(families: tuple[Any, ...], kinds: tuple[str, ...], slots: int) -> Params:
    """A made-up world behind a grid that limits nothing."""
    nothing, house = torch.zeros(0, dtype=torch.int64), torch.cat([family.house for family in families])
    config = EnvConfig(name="made up", slots=slots)
    grid = network.from_pandapower(network.two_house_feeder())
    return Params(config, families, kinds, house, nothing, grid, nothing, nothing.bool(), 0.25, nothing)


def day(seed: int) -> Scenario:
    """A winter day with random weather and needs."""
    draw = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.rand(ROWS, *shape, generator=draw, dtype=torch.float64)

    outdoors = (-3.0 + 14.0 * random(1) + (random(SLOTS) - 0.5).cumsum(1)).unsqueeze(2)
    prices, houses = torch.zeros(ROWS, SLOTS).double(), torch.zeros(ROWS, SLOTS, 2).double()
    sessions = Sessions(
        arrival=torch.tensor([[[2, 30, 0, 0, 0]]]).repeat(ROWS, 1, 1),
        departure=torch.tensor([[[40, 60, 50, SLOTS, SLOTS]]]).repeat(ROWS, 1, 1),
        need_kwh=random(1, 5) * torch.tensor([30.0, 30.0, 30.0, 0.0, 0.0]),
        stored_kwh=random(1, 5) * torch.tensor([0.0, 0.0, 0.0, 8.0, 8.0]),
    )
    climate = Climate(
        ambient=torch.cat([outdoors, outdoors, torch.full_like(outdoors, 20.0)], dim=2),
        cop=torch.cat([2.8 + 0.06 * outdoors, 2.8 + 0.06 * outdoors, torch.full_like(outdoors, 1.6)], dim=2),
        start=torch.tensor([20.4, 21.4, -18.5]).double() + 0.4 * random(3),
    )
    ready, latest = torch.tensor([[[4, 12]]]).repeat(ROWS, 1, 1), torch.tensor([[[20, 40]]]).repeat(ROWS, 1, 1)
    windows = Windows(ready, latest, torch.zeros_like(ready))
    return Scenario(
        spot=prices,
        up=prices,
        down=prices,
        wind_kwh=prices,
        temperature=outdoors[..., 0],
        base_kwh=houses,
        base_kvarh=houses,
        pv_kwh=houses,
        irradiance=prices,
        habits=(sessions, climate, windows),
    )


def run_to(params: Params, truth: Episode, slot: int, seed: int) -> DeviceState:
    """The devices at the start of a slot after random actions within their limits."""
    draw, devices = torch.Generator().manual_seed(seed), fleet.start(params, truth.actual)
    for before in range(slot):
        allowed = fleet.limits(params, devices, truth, before)
        wanted = torch.rand(ROWS, COUNT, generator=draw, dtype=torch.float64)
        energy = fleet.snap(params, allowed.lower + wanted * (allowed.upper - allowed.lower), allowed)
        devices = fleet.advance(params, devices, energy, truth.actual, before)
    return devices


def follow(params: Params, truth: Episode, devices: DeviceState, slot: int, energies: Tensor) -> Tensor:
    """Run copies of one row with energies [R, N, SLOTS], NaN where a device decides; return temperatures [W, R, H].

    Demands that no energy is outside its limits and that no vehicle leaves with less than it needs.
    """
    copies = torch.zeros(len(energies), dtype=torch.int64)
    truth, devices, temperatures = take_rows(truth, copies), take_rows(devices, copies), []
    for now in range(slot, SLOTS):
        allowed = fleet.limits(params, devices, truth, now)
        energy = torch.where(energies[:, :, now].isnan(), allowed.default, energies[:, :, now])
        assert torch.all(energy >= allowed.lower - 1e-9)
        assert torch.all(energy <= allowed.upper + 1e-9)
        devices = fleet.advance(params, devices, energy, truth.actual, now)
        assert fleet.discomfort(params, devices, truth.actual, now).unmet_kwh.abs().max() < 1e-9
        assert devices.parts[0].stored_kwh.min() > -1e-9
        temperatures.append(devices.parts[1].temperature)
    return torch.stack(temperatures)


def outside(params: Params, temperatures: Tensor) -> Tensor:
    """Return the degrees [W, R, H] outside the comfort band."""
    heat = params.families[1]
    return (heat.lower - temperatures).clamp(min=0.0) + (temperatures - heat.upper).clamp(min=0.0)


def on_grid(offers: FlexOfferBatch, start: Tensor, energy: Tensor) -> Tensor:
    """Return assignments as energies [N, SLOTS], NaN for devices without an offer."""
    return (
        torch.full((COUNT, SLOTS), torch.nan)
        .to(energy)
        .index_copy(0, offers.device, load(offers, start, energy, SLOTS))
    )


def situation(seed: int, slot: int, row: int) -> tuple[Params, Episode, DeviceState, FlexOfferBatch]:
    """One row in the middle of a day, and its offers."""
    params, weather = world(), day(seed)
    truth = episode_of(params, weather, weather)  # as it was forecast: the limits and the offers know the same
    devices, nothing = run_to(params, truth, slot, seed), torch.zeros(ROWS).double()
    offers = generate(params, Forecast(slot, weather), State(slot, devices, devices, nothing, nothing), row)
    index = torch.tensor([row])
    return params, take_rows(truth, index), take_rows(devices, index), offers


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), slot=st.integers(0, SLOTS - 1), row=st.integers(0, ROWS - 1))
def test_any_assignment_is_physically_possible(
    seed: int, slot: int, row: int, random_assignment: RandomAssignment
) -> None:
    params, truth, devices, offers = situation(seed, slot, row)
    validate(offers)
    price = torch.randn(3, SLOTS, generator=torch.Generator().manual_seed(seed)).double()
    assignments = [(offers.default_start, offers.default)]
    assignments += [random_assignment(offers, seed + draw) for draw in range(6)]
    assignments += [respond(offers, price[draw]) for draw in range(3)]
    energies = [torch.full((COUNT, SLOTS), torch.nan).double(), *(on_grid(offers, *one) for one in assignments)]
    degrees = outside(params, follow(params, truth, devices, slot, torch.stack(energies)))
    assert torch.all(degrees <= degrees[:, :1] + 1e-9)  # no one colder or warmer than with the controllers alone


def test_the_default_is_what_the_controllers_do() -> None:
    params, truth, devices, offers = situation(3, 5, 1)
    planned = on_grid(offers, offers.default_start, offers.default)
    for now in range(5, SLOTS):
        default = fleet.limits(params, devices, truth, now).default
        offered = ~planned[:, now].isnan()
        torch.testing.assert_close(default[0, offered], planned[offered, now], rtol=0.0, atol=1e-9)
        devices = fleet.advance(params, devices, default, truth.actual, now)


def test_what_each_device_offers() -> None:
    """At slot 5 vehicles 0 and 2 are there, 1 is not; programme 0 waits since slot 4, programme 1 will from slot 12."""
    params, truth, devices, _ = situation(3, 5, 0)
    store, heat, wash = devices.parts
    devices = DeviceState((store, heat, Started(torch.full_like(wash.start, NEVER))))
    nothing = torch.zeros(1).double()
    offers = generate(params, Forecast(5, truth.actual), State(5, devices, devices, nothing, nothing))
    assert offers.device.tolist() == [0, 2, 3, 4, 5, 6, 7, 8, 9]
    assert offers.house.tolist() == params.house[offers.device].tolist()
    assert torch.all(offers.state == OfferState.INITIAL)

    vehicle = take_rows(offers, torch.tensor([0]))
    left = truth.actual.habits[0].need_kwh[0, 0, 0] - store.stored_kwh[0, 0]
    assert (int(vehicle.earliest), int(vehicle.latest), int(vehicle.slices)) == (5, 5, 35)
    assert vehicle.total_lower[0] == pytest.approx(float(left))
    assert vehicle.total_upper[0] == pytest.approx(float(left))
    assert torch.all(vehicle.lower >= 0.0)
    assert not vehicle.level_upper.isfinite().any()

    programmes = take_rows(offers, torch.tensor([7, 8]))
    assert torch.equal(programmes.lower, programmes.upper)
    assert programmes.earliest.tolist() == [5, 12]
    assert programmes.latest.tolist() == [20, 40]
    assert programmes.default_start.tolist() == [5, 12]
    assert programmes.price_shift.tolist() == [0.002, 0.002]
    assert programmes.lower[0, :6].tolist() == [0.45, 0.025, 0.025, 0.375, 0.025, 0.0]


def test_a_running_programme_offers_its_rest_and_a_finished_one_nothing() -> None:
    params, truth, devices, _ = situation(3, 20, 0)
    devices = DeviceState((*devices.parts[:2], Started(torch.tensor([[[18, 12]]]))))
    nothing = torch.zeros(1).double()
    offers = generate(params, Forecast(20, truth.actual), State(20, devices, devices, nothing, nothing))
    assert offers.device[-1] == COUNT - 2
    running = take_rows(offers, offers.device == COUNT - 2)
    assert (int(running.earliest), int(running.latest), int(running.slices)) == (20, 20, 3)
    assert running.lower[0, :3].tolist() == running.upper[0, :3].tolist() == [0.025, 0.375, 0.025]


def storage_offer(config: BatteryConfig, stored: float) -> FlexOfferBatch:
    """The offer of one battery that holds `stored` kWh, over eight slots."""
    families, kinds = fleet.build(DevicesConfig(battery=config), houses=1, slot_hours=0.25)
    params = params_of(families, kinds, 8)
    row, empty = torch.zeros(1, 8).double(), torch.zeros(1, 8, 0).double()
    zero, now = torch.zeros(1, 1, 1).double(), torch.zeros(1, 1, 1, dtype=torch.int64)
    habits = (Sessions(now, now + 8, zero, zero + stored),)
    known = Scenario(row, row, row, row, row, row, empty, empty, empty, habits)
    devices = DeviceState((Stored(zero[0] + stored),))
    return generate(params, Forecast(0, known), State(0, devices, devices, zero[0, 0], zero[0, 0]))


def test_a_battery_without_losses_offers_all_it_can_do() -> None:
    """4 kWh in a battery of 6 kWh and 4 kW: 1 kWh per slot either way, the running sum between -4 and 2."""
    offer = storage_offer(
        BatteryConfig(count=1, capacity_kwh=6.0, charge_efficiency=1.0, discharge_efficiency=1.0), stored=4.0
    )
    assert offer.lower.tolist() == [[-1.0] * 8]
    assert offer.upper.tolist() == [[1.0] * 8]
    assert offer.level_lower.tolist() == [[-1.0, -2.0, -3.0, -4.0, -4.0, -4.0, -4.0, -torch.inf]]
    assert offer.level_upper.tolist() == [[1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, torch.inf]]
    assert (float(offer.total_lower), float(offer.total_upper)) == (-4.0, 2.0)


def test_a_battery_with_losses_covers_its_cycling_from_what_it_holds() -> None:
    """Cycling 1 kWh costs 1/0.8 - 0.8 = 0.45 kWh per two slots, 0.225 per slot; eight slots of it need 1.8 kWh stored.

    With 4 kWh stored all power is offered; the chord has slope (0.8 + 1.25) / 2 = 1.025, so after slot k at least
    (0.225 k - 4) / 1.025 must have been drawn. With nothing stored the battery only charges.
    """
    lossy = BatteryConfig(count=1, capacity_kwh=6.0, charge_efficiency=0.8, discharge_efficiency=0.8)
    offer = storage_offer(lossy, stored=4.0)
    assert offer.lower.tolist() == [[-1.0] * 8]
    assert float(offer.total_lower) == pytest.approx((8 * 0.225 - 4.0) / 1.025)
    assert float(offer.total_upper) == pytest.approx(2.0 / 0.8)
    empty = storage_offer(lossy, stored=0.0)
    assert empty.lower.tolist() == [[0.0] * 8]
    assert float(empty.total_upper) == pytest.approx(6.0 / 0.8)
    little = storage_offer(lossy, stored=1.0)
    assert -1.0 < float(little.lower[0, 0]) < 0.0


def test_a_heat_pump_offers_to_draw_ahead_and_to_put_off_what_its_band_can_bear() -> None:
    """At the set-point, 1 K from either bound, with the coefficient of performance 3 in steady weather.

    A kWh warms the house by g = 3 kelvin_per_kwh; what leaks away of it until the last slot, 63 slots later, is a share
    1 - a^63. A running sum within M of the default's moves the temperature then by at most g M + (1 - a^63) g M.
    """
    params, truth, devices, _ = situation(3, 0, 0)
    store, _, wash = devices.parts
    devices = DeviceState((store, Warmth(torch.tensor([[21.0, 21.0, -18.0]]).double()), wash))
    ambient, cop = (
        torch.tensor(values).double().expand(1, SLOTS, 3) for values in ([12.0, 12.0, 20.0], [3.0, 3.0, 1.6])
    )
    nothing = torch.zeros(1).double()
    sessions, climate, windows = truth.actual.habits
    habits = (sessions, replace(climate, ambient=ambient, cop=cop), windows)
    forecast = Forecast(0, replace(truth.actual, habits=habits))
    offers = generate(params, forecast, State(0, devices, devices, nothing, nothing))
    pump = take_rows(offers, offers.device == VEHICLES + BATTERIES)
    heat = params.families[1]
    lift, kept = 3.0 * float(heat.kelvin_per_kwh[0]), float(heat.retention[0]) ** (SLOTS - 1)
    margin = 1.0 / (lift * (2.0 - kept))
    drawn = pump.default.cumsum(1)
    assert float(pump.level_upper[0, 30] - drawn[0, 30]) == pytest.approx(margin)
    assert float(drawn[0, 30] - pump.level_lower[0, 30]) == pytest.approx(margin)


def test_a_row_offers_alike_alone_and_among_others_and_in_single_precision() -> None:
    params, truth, devices, offers = situation(9, 7, 1)
    nothing = torch.zeros(1).double()
    alone = generate(params, Forecast(7, truth.actual), State(7, devices, devices, nothing, nothing))
    assert equal(alone, offers, tolerance=1e-9)
    single, weather, before = (to(record, torch.float32) for record in (params, truth.actual, devices))
    rough = generate(single, Forecast(7, weather), State(7, before, before, nothing.float(), nothing.float()))
    validate(rough)
    assert rough.lower.dtype == torch.float32
    assert equal(rough, tighten(to(offers, torch.float32)), tolerance=1e-2)
