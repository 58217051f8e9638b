"""Devices under arbitrary clipped actions: energy is conserved, needs and comfort are kept, programmes run whole."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from totalflex_env.devices.appliance import Appliance, Windows
from totalflex_env.devices.battery import BatteryConfig
from totalflex_env.devices.dishwasher import DishwasherConfig
from totalflex_env.devices.ev import EvConfig
from totalflex_env.devices.family import Range
from totalflex_env.devices.freezer import FreezerConfig
from totalflex_env.devices.heat_pump import HeatPumpConfig
from totalflex_env.devices.sessions import Sessions
from totalflex_env.devices.storage import Storage, Stored
from totalflex_env.devices.thermal import Climate, Thermal

SLOTS, ROWS = 48, 3
EV = EvConfig(count=2)
BATTERY = BatteryConfig(count=2)
HEAT_PUMP = HeatPumpConfig(count=2)
FREEZER = FreezerConfig(count=1)
DISHWASHER = DishwasherConfig(count=2)


STORES = Storage.joined([EV.build(2, 0.25), BATTERY.build(2, 0.25)])
HEAT = Thermal.joined([HEAT_PUMP.build(2, 0.25), FREEZER.build(2, 0.25)])
WASH = Appliance.joined([DISHWASHER.build(2, 0.25)])


def sessions(seed: int) -> Sessions:
    """Two vehicles and two batteries."""
    draw = torch.Generator().manual_seed(seed)
    arrival, departure = torch.tensor([[[2, 10, 0, 0]]]), torch.tensor([[[30, 44, SLOTS, SLOTS]]])
    need = torch.rand(ROWS, 1, 4, generator=draw, dtype=torch.float64) * torch.tensor([60.0, 30.0, 0.0, 0.0])
    stored = torch.tensor([0.0, 0.0, 4.0, 4.0], dtype=torch.float64).repeat(ROWS, 1, 1)
    return Sessions(arrival.repeat(ROWS, 1, 1), departure.repeat(ROWS, 1, 1), need, stored)


def climate(seed: int) -> Climate:
    """Two heated houses in winter weather and a freezer."""
    draw = torch.Generator().manual_seed(seed)
    outdoors = 8.0 * torch.rand(ROWS, SLOTS, 1, generator=draw, dtype=torch.float64) - 4.0
    return Climate(
        ambient=torch.cat([outdoors, outdoors, torch.full_like(outdoors, 20.0)], dim=2),
        cop=torch.tensor([2.8, 2.8, 1.6], dtype=torch.float64).expand(ROWS, SLOTS, 3),
        start=torch.tensor([[21.0, 21.0, -18.0]], dtype=torch.float64).repeat(ROWS, 1),
    )


def windows() -> Windows:
    """Two dishwashers."""
    ready, latest = (torch.tensor([[hours]]).repeat(ROWS, 1, 1) for hours in ([4, 12], [20, 40]))
    return Windows(ready, latest, torch.zeros_like(ready))


def anything(allowed: Range, draw: torch.Generator) -> Tensor:
    """Any action whatever, clipped: half of them at the ends."""
    wild = 3.0 * torch.rand(allowed.lower.shape, generator=draw, dtype=torch.float64) - 1.0
    return allowed.lower + wild.clamp(0.0, 1.0) * (allowed.upper - allowed.lower)


@given(seed=st.integers(0, 10_000))
def test_clipped_actions_meet_every_need_and_conserve_energy(seed: int) -> None:
    day, draw, state = sessions(seed), torch.Generator().manual_seed(seed + 1), STORES.start(sessions(seed))
    drawn, given_back = torch.zeros(ROWS, 4).double(), torch.zeros(ROWS, 4).double()
    for slot in range(SLOTS):
        allowed = STORES.limits(state, day, None, slot)
        assert torch.all(allowed.lower <= allowed.upper)
        energy = anything(allowed, draw)
        drawn, given_back = drawn + energy.clamp(min=0.0), given_back - energy.clamp(max=0.0)
        state = STORES.advance(state, energy, day, slot)
        assert torch.all(state.stored_kwh >= -1e-9)
        assert torch.all(state.stored_kwh <= STORES.ceiling(day.need_kwh[:, 0]) + 1e-9)
        assert STORES.discomfort(state, day, slot, 0.25).cost.abs().max() < 1e-9
    gained = drawn * STORES.charge_efficiency - given_back / STORES.discharge_efficiency
    torch.testing.assert_close(state.stored_kwh, day.stored_kwh[:, 0] + gained, rtol=0.0, atol=1e-9)


def test_vehicle_that_cannot_be_filled_charges_at_once_and_reports_the_rest() -> None:
    need = torch.full((ROWS, 1, 4), 100.0).double() * torch.tensor([1.0, 0.0, 0.0, 0.0])
    day = replace(sessions(0), need_kwh=need)
    state = STORES.start(day)
    for slot in range(SLOTS):
        allowed = STORES.limits(state, day, None, slot)
        if 2 <= slot < 30:
            assert torch.all(allowed.lower[:, 0] == 2.75)
        state = STORES.advance(state, allowed.lower, day, slot)
        found = STORES.discomfort(state, day, slot, 0.25)
        missing = 100.0 - 28 * 2.75 if slot == 29 else 0.0
        assert found.unmet_kwh is not None and torch.all(found.unmet_kwh[:, 0] == missing)
        assert torch.all(found.cost[:, 0] == 2.0 * missing)


@given(seed=st.integers(0, 10_000))
def test_clipped_actions_keep_comfort_when_the_forecast_is_off_by_less_than_the_margin(seed: int) -> None:
    day, draw = climate(seed), torch.Generator().manual_seed(seed + 1)
    error = HEAT_PUMP.margin_k * (2.0 * torch.rand(ROWS, SLOTS, 1, generator=draw, dtype=torch.float64) - 1.0)
    heated = torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
    guard, state = HEAT.guard(replace(day, ambient=day.ambient + error * heated)), HEAT.start(day)
    for slot in range(SLOTS):
        allowed = HEAT.limits(state, day, guard, slot)
        assert torch.all((allowed.lower >= 0.0) & (allowed.lower <= allowed.upper))
        assert torch.all(allowed.upper <= HEAT.power_kwh)
        state = HEAT.advance(state, anything(allowed, draw), day, slot)
        assert HEAT.discomfort(state, day, slot, 0.25).cost.max() < 1e-9


def test_heat_balance_of_a_house() -> None:
    """Stored heat changes by what the pump delivers less what the envelope loses, integrated over the slot."""
    day, energy = climate(3), 0.5 * HEAT.power_kwh.expand(ROWS, -1)
    after = HEAT.advance(HEAT.start(day), energy, day, 0).temperature
    steps, temperature = 20_000, day.start.clone()
    resistance = torch.tensor([HEAT_PUMP.resistance_k_per_kw] * 2 + [FREEZER.resistance_k_per_kw], dtype=torch.float64)
    for _ in range(steps):
        loss_kw = (temperature - day.ambient[:, 0]) / resistance
        heat_kw = HEAT.direction * day.cop[:, 0] * energy / 0.25
        temperature = temperature + (heat_kw - loss_kw) / HEAT.capacity_kwh_per_k * 0.25 / steps
    torch.testing.assert_close(after, temperature, rtol=0.0, atol=1e-4)


def test_thermostat_holds_the_set_point() -> None:
    day = climate(5)
    guard, state = HEAT.guard(day), HEAT.start(day)
    for slot in range(SLOTS):
        state = HEAT.advance(state, HEAT.limits(state, day, guard, slot).default, day, slot)
        torch.testing.assert_close(state.temperature, HEAT.setpoint.expand(ROWS, -1), rtol=0.0, atol=1e-9)


@given(seed=st.integers(0, 10_000))
def test_programmes_run_once_whole_and_inside_their_window(seed: int) -> None:
    day, draw = windows(), torch.Generator().manual_seed(seed)
    state, total, price = WASH.start(day), torch.zeros(ROWS, 2).double(), torch.zeros(ROWS, 2).double()
    for slot in range(SLOTS):
        allowed = WASH.limits(state, day, None, slot)
        energy = WASH.snap(anything(allowed, draw) - 0.3, allowed)
        assert torch.all((energy == allowed.lower) | (energy == allowed.upper))
        state = WASH.advance(state, energy, day, slot)
        price = price + WASH.discomfort(state, day, slot, 0.25).cost
        total = total + energy
    assert torch.all((state.start >= day.ready) & (state.start <= day.latest))
    torch.testing.assert_close(total, WASH.profile_kwh.sum(dim=(1, 2)).expand_as(total))
    torch.testing.assert_close(price, 0.002 * (state.start - day.ready)[:, 0].double())


def test_battery_round_trip_loses_what_its_efficiencies_say() -> None:
    full, day = BATTERY.build(1, 0.25), sessions(0)
    state = full.advance(Stored(torch.zeros(1, 2).double()), torch.ones(1, 2).double(), day, 0)
    back = full.advance(state, torch.full((1, 2), -(0.95 * 0.95)).double(), day, 1)
    torch.testing.assert_close(back.stored_kwh, torch.zeros(1, 2).double(), rtol=0.0, atol=1e-7)
