"""Devices under arbitrary clipped actions: energy is conserved, needs and comfort are kept, programmes run whole."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from totalflex_env.config import BatteryConfig, DishwasherConfig, EvConfig, FreezerConfig, HeatPumpConfig
from totalflex_env.devices import appliance, storage, thermal
from totalflex_env.types import Scenario

SLOTS, ROWS = 48, 3
EV = EvConfig(count=2)
BATTERY = BatteryConfig(count=2)
HEAT_PUMP = HeatPumpConfig(count=2)
FREEZER = FreezerConfig(count=1)
DISHWASHER = DishwasherConfig(count=2)


def scenario(seed: int) -> Scenario:
    """A made-up day: two vehicles, two batteries, two heat pumps, a freezer and two dishwashers."""
    draw = torch.Generator().manual_seed(seed)
    arrival = torch.tensor([[2, 10, 0, 0]]).repeat(ROWS, 1)
    departure = torch.tensor([[30, 44, SLOTS, SLOTS]]).repeat(ROWS, 1)
    need = torch.rand(ROWS, 4, generator=draw, dtype=torch.float64) * torch.tensor([60.0, 30.0, 0.0, 0.0])
    outdoors = 8.0 * torch.rand(ROWS, SLOTS, 1, generator=draw, dtype=torch.float64) - 4.0
    prices, houses = torch.zeros(ROWS, SLOTS, dtype=torch.float64), torch.zeros(ROWS, SLOTS, 2, dtype=torch.float64)
    return Scenario(
        spot=prices,
        up=prices,
        down=prices,
        wind_kwh=prices,
        temperature=outdoors[..., 0],
        base_kwh=houses,
        base_kvarh=houses,
        pv_kwh=houses,
        arrival=arrival,
        departure=departure,
        need_kwh=need,
        stored_kwh=torch.tensor([[0.0, 0.0, 4.0, 4.0]], dtype=torch.float64).repeat(ROWS, 1),
        ambient=torch.cat([outdoors, outdoors, torch.full_like(outdoors, 20.0)], dim=2),
        cop=torch.tensor([2.8, 2.8, 1.6], dtype=torch.float64).expand(ROWS, SLOTS, 3),
        start_temperature=torch.tensor([[21.0, 21.0, -18.0]], dtype=torch.float64).repeat(ROWS, 1),
        ready=torch.tensor([[4, 12]]).repeat(ROWS, 1),
        latest=torch.tensor([[20, 40]]).repeat(ROWS, 1),
    )


def anything(lower: Tensor, upper: Tensor, draw: torch.Generator) -> Tensor:
    """Any action whatever, clipped: half of them at the ends."""
    wild = 3.0 * torch.rand(lower.shape, generator=draw, dtype=torch.float64) - 1.0
    return lower + wild.clamp(0.0, 1.0) * (upper - lower)


@given(seed=st.integers(0, 10_000))
def test_clipped_actions_meet_every_need_and_conserve_energy(seed: int) -> None:
    day, draw = scenario(seed), torch.Generator().manual_seed(seed + 1)
    params = storage.build(EV, BATTERY, houses=2, slot_hours=0.25)
    stored, drawn, given_back = day.stored_kwh, torch.zeros(ROWS, 4).double(), torch.zeros(ROWS, 4).double()
    for slot in range(SLOTS):
        lower, upper = storage.limits(params, stored, day, slot)
        assert torch.all(lower <= upper)
        energy = anything(lower, upper, draw)
        drawn, given_back = drawn + energy.clamp(min=0.0), given_back - energy.clamp(max=0.0)
        stored = storage.advance(params, stored, energy)
        assert torch.all(stored >= -1e-9)
        assert torch.all(stored <= torch.where(params.session, day.need_kwh, params.capacity_kwh) + 1e-9)
        assert storage.unmet(params, stored, day, slot).abs().max() < 1e-9
    balance = day.stored_kwh + drawn * params.charge_efficiency - given_back / params.discharge_efficiency
    torch.testing.assert_close(stored, balance, rtol=0.0, atol=1e-9)


def test_vehicle_that_cannot_be_filled_charges_at_once_and_reports_the_rest() -> None:
    day = replace(scenario(0), need_kwh=torch.full((ROWS, 4), 100.0).double() * torch.tensor([1.0, 0.0, 0.0, 0.0]))
    params = storage.build(EV, BATTERY, houses=2, slot_hours=0.25)
    stored = day.stored_kwh
    for slot in range(SLOTS):
        lower, _ = storage.limits(params, stored, day, slot)
        if 2 <= slot < 30:
            assert torch.all(lower[:, 0] == 2.75)
        stored = storage.advance(params, stored, lower)
        missing = storage.unmet(params, stored, day, slot)[:, 0]
        assert torch.all(missing == (100.0 - 28 * 2.75 if slot == 29 else 0.0))


@given(seed=st.integers(0, 10_000))
def test_clipped_actions_keep_comfort_when_the_forecast_is_off_by_less_than_the_margin(seed: int) -> None:
    day, draw = scenario(seed), torch.Generator().manual_seed(seed + 1)
    params = thermal.build(HEAT_PUMP, FREEZER, houses=2, slot_hours=0.25)
    error = HEAT_PUMP.margin_k * (2.0 * torch.rand(ROWS, SLOTS, 1, generator=draw, dtype=torch.float64) - 1.0)
    heated = torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
    expected = replace(day, ambient=day.ambient + error * heated)
    bounds, temperature = thermal.envelope(params, expected), day.start_temperature
    for slot in range(SLOTS):
        lower, upper = thermal.limits(params, temperature, day, bounds, slot)
        assert torch.all((lower >= 0.0) & (lower <= upper) & (upper <= params.power_kwh))
        temperature = thermal.advance(params, temperature, anything(lower, upper, draw), day, slot)
        assert thermal.degree_hours(params, temperature, 0.25).max() < 1e-9


def test_heat_balance_of_a_house() -> None:
    """Stored heat changes by what the pump delivers less what the envelope loses, integrated over the slot."""
    day, params = scenario(3), thermal.build(HEAT_PUMP, FREEZER, houses=2, slot_hours=0.25)
    energy = 0.5 * params.power_kwh.expand(ROWS, -1)
    after = thermal.advance(params, day.start_temperature, energy, day, 0)
    steps, temperature = 20_000, day.start_temperature.clone()
    resistance = torch.tensor([HEAT_PUMP.resistance_k_per_kw] * 2 + [FREEZER.resistance_k_per_kw], dtype=torch.float64)
    for _ in range(steps):
        loss_kw = (temperature - day.ambient[:, 0]) / resistance
        heat_kw = params.direction * day.cop[:, 0] * energy / 0.25
        temperature = temperature + (heat_kw - loss_kw) / params.capacity_kwh_per_k * 0.25 / steps
    torch.testing.assert_close(after, temperature, rtol=0.0, atol=1e-4)


def test_thermostat_holds_the_set_point() -> None:
    day, params = scenario(5), thermal.build(HEAT_PUMP, FREEZER, houses=2, slot_hours=0.25)
    temperature = day.start_temperature
    for slot in range(SLOTS):
        temperature = thermal.advance(params, temperature, thermal.default(params, temperature, day, slot), day, slot)
        torch.testing.assert_close(temperature, params.setpoint.expand_as(temperature), rtol=0.0, atol=1e-9)


@given(seed=st.integers(0, 10_000))
def test_programmes_run_once_whole_and_inside_their_window(seed: int) -> None:
    day, draw = scenario(seed), torch.Generator().manual_seed(seed)
    params = appliance.build(DISHWASHER, houses=2, slot_hours=0.25)
    start, total, waited = torch.full_like(day.ready, SLOTS), torch.zeros(ROWS, 2).double(), torch.zeros(ROWS, 2)
    for slot in range(SLOTS):
        lower, upper = appliance.limits(params, start, day, slot)
        energy = appliance.snap(lower, upper, anything(lower, upper, draw) - 0.3)
        assert torch.all((energy == lower) | (energy == upper))
        start = appliance.advance(start, energy, day, slot)
        waited = waited + appliance.delayed(start, day, slot)
        total = total + energy
    assert torch.all((start >= day.ready) & (start <= day.latest))
    torch.testing.assert_close(total, params.profile_kwh.sum(dim=1).expand_as(total))
    torch.testing.assert_close(waited, (start - day.ready).to(waited.dtype))


def test_battery_round_trip_loses_what_its_efficiencies_say() -> None:
    params = storage.build(EvConfig(), BATTERY, houses=1, slot_hours=0.25)
    stored = storage.advance(params, torch.zeros(1, 2).double(), torch.ones(1, 2).double())
    back = storage.advance(params, stored, torch.full((1, 2), -(0.95 * 0.95)).double())
    torch.testing.assert_close(back, torch.zeros(1, 2).double(), rtol=0.0, atol=1e-7)
