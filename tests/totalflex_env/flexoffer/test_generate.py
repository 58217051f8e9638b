"""Offers of devices: whatever assignment comes back, the devices stay within their limits and their comfort band."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from totalflex_env.batch import take_rows, to
from totalflex_env.config import BatteryConfig, DishwasherConfig, EnvConfig, EvConfig, FreezerConfig, HeatPumpConfig
from totalflex_env.devices import appliance, fleet, storage, thermal
from totalflex_env.flexoffer.generate import generate
from totalflex_env.flexoffer.offers import load, tighten, validate
from totalflex_env.flexoffer.respond import respond
from totalflex_env.trade_types import FlexOfferBatch, OfferState
from totalflex_env.types import DeviceState, Episode, Forecast, Outlook, Params, Scenario, State

RandomAssignment = Callable[[FlexOfferBatch, int], tuple[Tensor, Tensor]]

SLOTS, ROWS = 64, 2
VEHICLES, BATTERIES, HEAT_PUMPS, FREEZERS = 3, 2, 2, 1
COUNT = VEHICLES + BATTERIES + HEAT_PUMPS + FREEZERS + 2


def world() -> Params:
    """Three vehicles (the third with lossy V2G), two lossy batteries, two heat pumps, a freezer, two dishwashers."""
    store = storage.build(EvConfig(count=VEHICLES), BatteryConfig(count=BATTERIES), houses=2, slot_hours=0.25)
    both_ways = torch.tensor([0.0, 0.0, 1.5, 0.0, 0.0]).double()
    lossy = torch.where(both_ways > 0.0, 0.9, store.charge_efficiency)
    store = replace(store, discharge_kwh=store.discharge_kwh + both_ways, charge_efficiency=lossy)
    heat = thermal.build(HeatPumpConfig(count=HEAT_PUMPS), FreezerConfig(count=FREEZERS), houses=2, slot_hours=0.25)
    wash = appliance.build(DishwasherConfig(count=2), houses=2, slot_hours=0.25)
    nothing = torch.zeros(0, dtype=torch.int64)
    house = torch.cat([store.house, heat.house, wash.house])
    config = EnvConfig(name="made up", slots=SLOTS)
    return Params(config, store, heat, wash, house, nothing, None, nothing, nothing.bool(), 0.25)  # type: ignore[arg-type]


def day(seed: int) -> Scenario:
    """A winter day with random weather and needs."""
    draw = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.rand(ROWS, *shape, generator=draw, dtype=torch.float64)

    outdoors = (-3.0 + 14.0 * random(1) + (random(SLOTS) - 0.5).cumsum(1)).unsqueeze(2)
    prices, houses = torch.zeros(ROWS, SLOTS).double(), torch.zeros(ROWS, SLOTS, 2).double()
    return Scenario(
        spot=prices,
        up=prices,
        down=prices,
        wind_kwh=prices,
        temperature=outdoors[..., 0],
        base_kwh=houses,
        base_kvarh=houses,
        pv_kwh=houses,
        arrival=torch.tensor([[2, 30, 0, 0, 0]]).repeat(ROWS, 1),
        departure=torch.tensor([[40, 60, 50, SLOTS, SLOTS]]).repeat(ROWS, 1),
        need_kwh=random(5) * torch.tensor([30.0, 30.0, 30.0, 0.0, 0.0]),
        stored_kwh=random(5) * torch.tensor([0.0, 0.0, 0.0, 8.0, 8.0]),
        ambient=torch.cat([outdoors, outdoors, torch.full_like(outdoors, 20.0)], dim=2),
        cop=torch.cat([2.8 + 0.06 * outdoors, 2.8 + 0.06 * outdoors, torch.full_like(outdoors, 1.6)], dim=2),
        start_temperature=torch.tensor([20.4, 21.4, -18.5]).double() + 0.4 * random(3),
        ready=torch.tensor([[4, 12]]).repeat(ROWS, 1),
        latest=torch.tensor([[20, 40]]).repeat(ROWS, 1),
    )


def episode(params: Params, weather: Scenario) -> Episode:
    """The day as it was forecast, so that the limits and the offers know the same."""
    nothing = torch.zeros_like(weather.spot)
    outlook = Outlook(nothing, nothing.long(), nothing, nothing)
    return Episode(weather, weather, outlook, nothing, *thermal.envelope(params.thermal, weather))


def run_to(params: Params, truth: Episode, slot: int, seed: int) -> DeviceState:
    """The devices at the start of a slot after random actions within their limits."""
    draw, devices = torch.Generator().manual_seed(seed), fleet.start(truth.actual)
    for before in range(slot):
        allowed = fleet.limits(params, devices, truth, before)
        wanted = torch.rand(ROWS, COUNT, generator=draw, dtype=torch.float64)
        energy = fleet.snap(params, allowed.lower + wanted * (allowed.upper - allowed.lower), allowed)
        devices = fleet.advance(params, devices, energy, truth.actual, before)
    return devices


def keeps_everything(params: Params, truth: Episode, devices: DeviceState, slot: int, energies: Tensor) -> None:
    """Run one row with energies [N, SLOTS] and demand that no limit and no comfort band is left."""
    for now in range(slot, SLOTS):
        energy = energies[None, :, now]
        allowed = fleet.limits(params, devices, truth, now)
        assert torch.all(energy >= allowed.lower - 1e-9)
        assert torch.all(energy <= allowed.upper + 1e-9)
        before, devices = devices, fleet.advance(params, devices, energy, truth.actual, now)
        harm = fleet.discomfort(params, devices, truth.actual, now)
        assert harm.unmet_kwh.abs().max() < 1e-9
        warm, warmer = before.temperature, devices.temperature
        inside = (warm >= params.thermal.lower) & (warm <= params.thermal.upper)
        kept = (warmer >= params.thermal.lower - 1e-9) & (warmer <= params.thermal.upper + 1e-9)
        assert torch.all(kept | ~inside)


def on_grid(offers: FlexOfferBatch, start: Tensor, energy: Tensor) -> Tensor:
    """Assignments as energies of all devices [N, SLOTS]; those without an offer take nothing."""
    return torch.zeros(COUNT, SLOTS, dtype=energy.dtype).index_add(0, offers.device, load(offers, start, energy, SLOTS))


@settings(max_examples=12)
@given(seed=st.integers(0, 10_000), slot=st.integers(0, SLOTS - 1), row=st.integers(0, ROWS - 1))
def test_any_assignment_is_physically_possible(seed: int, slot: int, row: int, random_assignment: RandomAssignment) -> None:
    params, weather = world(), day(seed)
    truth = episode(params, weather)
    devices = run_to(params, truth, slot, seed)
    offers = generate(params, Forecast(slot, weather), state(slot, devices), row)
    validate(offers)
    index = torch.tensor([row])
    alone = replace(truth, **{name: take(vars(truth)[name], index) for name in ("actual", "heat_floor", "heat_ceiling")})
    devices = take_rows(devices, index)
    extra = later_vehicles(params, alone, devices, slot)
    keeps_everything(params, alone, devices, slot, extra + on_grid(offers, offers.default_start, offers.default))
    for draw in range(2):
        assignment = random_assignment(offers, seed + draw)
        keeps_everything(params, alone, devices, slot, extra + on_grid(offers, *assignment))
        price = torch.randn(SLOTS, generator=torch.Generator().manual_seed(seed + draw)).double()
        keeps_everything(params, alone, devices, slot, extra + on_grid(offers, *respond(offers, price)))


def state(slot: int, devices: DeviceState) -> State:
    nothing = torch.zeros(ROWS).double()
    return State(slot, devices, devices, nothing, nothing)
