"""Energy is conserved: what devices hold changes by what they take less what they lose, whatever they are told."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from totalflex_env.devices.circuit import Circuit, solve
from totalflex_env.devices.ev import EvConfig
from totalflex_env.devices.family import Day, DeviceSettings, Weather
from totalflex_env.devices.freezer import FreezerConfig
from totalflex_env.devices.heat_pump import HeatPumpConfig
from totalflex_env.devices.heavy_house import HeavyHouseConfig
from totalflex_env.devices.hot_water import HotWaterConfig
from totalflex_env.devices.industry import IndustryConfig
from totalflex_env.devices.office import OfficeConfig
from totalflex_env.devices.pv import PvConfig
from totalflex_env.devices.refrigerator import RefrigeratorConfig
from totalflex_env.devices.thermal import first_order
from totalflex_env.devices.washing_machine import WashingMachineConfig
from totalflex_env.devices.zone import Rooms, Warmth, Zone
from totalflex_env.devices.zone_guard import Envelope, needs
from totalflex_env.dice import Dice

SLOTS, HOURS = 96, 0.25
SEED = st.integers(0, 10_000)


def day(seed: int) -> Day:
    """A day of any season."""
    rng = torch.Generator().manual_seed(seed)
    warm = 30.0 * torch.rand(1, 1, generator=rng, dtype=torch.float64) - 8.0
    temperature = warm + torch.randn(1, SLOTS, generator=rng, dtype=torch.float64).cumsum(1) * 0.3
    sun = torch.rand(1, SLOTS, generator=rng, dtype=torch.float64)
    return Day(Weather(temperature, sun), torch.tensor([seed % 7]), 12.0)


def wild(lower: Tensor, upper: Tensor, rng: torch.Generator) -> Tensor:
    """Any energy between two limits, often one of them."""
    return torch.lerp(lower, upper, (3.0 * torch.rand(lower.shape, generator=rng).double() - 1.0).clamp(0.0, 1.0))


@pytest.mark.parametrize(
    "kind",
    [HeatPumpConfig(count=2, margin_k=0.0), FreezerConfig(count=1), RefrigeratorConfig(count=2)],
    ids=lambda kind: type(kind).__name__,
)
@settings(max_examples=4)
@given(seed=SEED)
def test_first_order_stores(kind: HeatPumpConfig | FreezerConfig | RefrigeratorConfig, seed: int) -> None:
    """C dT = heat - loss, the loss integrated over the exponential course of the temperature within each slot."""
    family, today, rng = kind.build(2, HOURS), day(seed), torch.Generator().manual_seed(seed)
    habits, capacity = kind.draw(Dice.of([seed]), today), family.capacity_kwh_per_k
    guard, state = family.guard(kind.expected(today)), family.start(habits)
    left, time_constant = family.retention, kind.resistance_k_per_kw * kind.capacitance_kwh_per_k
    content = capacity * state.temperature
    for slot in range(SLOTS):
        allowed = family.limits(state, habits, guard, slot)
        energy, around = wild(allowed.lower, allowed.upper, rng), habits.ambient[:, slot]
        heat = family.direction * habits.cop[:, slot] * energy
        loss = capacity * (1.0 - left) * (state.temperature - around)
        loss = loss + heat * (1.0 - time_constant * (1.0 - left) / HOURS)
        content = content + heat - loss
        state = family.advance(state, energy, habits, slot)
    torch.testing.assert_close(capacity * state.temperature, content, rtol=0.0, atol=1e-9)


def losses(circuit: Circuit) -> Tensor:
    """What a slot loses [6] kWh per (air, mass, outside, sun, heat) at its start: the integral beside the solution."""
    inner, outer, leak = (1.0 / r for r in (circuit.inner_k_per_kw, circuit.outer_k_per_kw, circuit.leak_k_per_kw))
    area, share, heat = circuit.sun_area_m2, circuit.sun_share, circuit.heat_share
    block = torch.zeros(6, 6, dtype=torch.float64)
    rows = [
        [-(inner + leak), inner, leak, area * share, heat],
        [inner, -(inner + outer), outer, area * (1.0 - share), 1.0 - heat],
        [leak, outer, -(leak + outer), 0.0, 0.0],
    ]
    block[[0, 1, 5], :5] = torch.tensor(rows, dtype=torch.float64)
    block[0] /= circuit.air_kwh_per_k
    block[1] /= circuit.mass_kwh_per_k
    return torch.linalg.matrix_exp(block * HOURS)[5, :5]


CIRCUIT = Circuit(1.0, 10.8, 0.24, 5.6, 16.0, heat_share=0.4, sun_area_m2=5.75, sun_share=0.5)


@settings(max_examples=4)
@given(seed=SEED)
def test_two_capacities(seed: int) -> None:
    """What air and mass hold changes by sun, people and heat pump less what goes outside, over random days."""
    kind, today, rng = HeavyHouseConfig(count=2), day(seed), torch.Generator().manual_seed(seed)
    family, habits, lost = kind.build(2, HOURS), kind.draw(Dice.of([seed]), today), losses(CIRCUIT)
    guard, state = family.guard(kind.expected(today)), family.start(habits)
    content = (family.capacity * torch.stack([state.air[0], state.mass[0]])).sum(dim=0)
    for slot in range(SLOTS):
        allowed = family.limits(state, habits, guard, slot)
        energy, outside, sun = wild(allowed.lower, allowed.upper, rng), habits.outdoors[0, slot], habits.sun[0, slot]
        heat = habits.gain_kwh[0, slot] + family.effect(outside) * energy[0]
        at_start = torch.stack([state.air[0], state.mass[0], outside, sun, heat / HOURS])
        content = content + heat + CIRCUIT.sun_area_m2 * sun * HOURS - lost @ at_start
        state = family.advance(state, energy, habits, slot)
    after = (family.capacity * torch.stack([state.air[0], state.mass[0]])).sum(dim=0)
    torch.testing.assert_close(after, content, rtol=0.0, atol=1e-9)


def test_one_capacity_is_the_first_order_store() -> None:
    kept, gains = solve(Circuit(8.0, 1.0, math.inf, math.inf, 4.5, heat_share=1.0), HOURS)
    retention, kelvin_per_kwh = first_order(4.5, 8.0, HOURS)
    assert kept.tolist() == [pytest.approx([retention, 0.0]), pytest.approx([0.0, 1.0])]
    assert gains[0].tolist() == pytest.approx([1.0 - retention, 0.0, kelvin_per_kwh])


@settings(max_examples=4)
@given(seed=SEED)
def test_a_tank_gives_what_is_drawn(seed: int) -> None:
    """A tank holds what heats it less what is drawn and what it loses to its room, over random days."""
    kind, today, rng = HotWaterConfig(count=3), day(seed), torch.Generator().manual_seed(seed)
    family, habits = kind.build(2, HOURS), kind.draw(Dice.of([seed]), today)
    guard, state, capacity = family.guard(kind.expected(today)), family.start(habits), family.capacity[0]
    leak = 45.0 * 24.0 / kind.loss_kwh_per_day  # K/kW
    content, left = capacity * state.air[0], torch.exp(-HOURS / (leak * capacity))
    for slot in range(SLOTS):
        allowed = family.limits(state, habits, guard, slot)
        energy, outside = wild(allowed.lower, allowed.upper, rng), habits.outdoors[0, slot]
        heat = habits.gain_kwh[0, slot] + family.effect(outside) * energy[0]
        steady = kind.room_c + leak * heat / HOURS  # where the temperature would settle
        lost = heat + capacity * (1.0 - left) * (state.air[0] - steady)
        content = content + heat - lost
        state = family.advance(state, energy, habits, slot)
    torch.testing.assert_close(capacity * state.air[0], content, rtol=0.0, atol=1e-9)
    assert float(-habits.gain_kwh.sum(dim=1).max()) > 0.5


def asked(family: Zone, state: Warmth, habits: Rooms, guard: Envelope, slot: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The energy [1, n] kWh asked for by the side at which power works, and that from which the other side suffers."""
    idle, effect = family.idle(state, habits, slot), family.effect(habits.outdoors[:, slot])
    floor, ceiling = needs(family.kept, guard, torch.stack([idle.air, idle.mass]), family.by_heat, slot)
    return torch.where(effect > 0.0, floor, ceiling) / effect, torch.where(effect > 0.0, ceiling, floor) / effect


@pytest.mark.parametrize("kind", [HeavyHouseConfig(count=2), HotWaterConfig(count=2), OfficeConfig(count=1)])
@settings(max_examples=4)
@given(seed=SEED)
def test_zones_stay_in_their_band_when_all_is_as_expected(kind: DeviceSettings, seed: int) -> None:
    """Any clipped action keeps comfort if the pump is able to at first and no slot asks for both more and less."""
    family, today, rng = kind.build(2, HOURS), day(seed), torch.Generator().manual_seed(seed)
    habits = kind.expected(today)
    guard, state = family.guard(habits), family.start(habits)
    safe = torch.ones(1, len(family.house), dtype=torch.bool)
    for slot in range(SLOTS):
        least, most = asked(family, state, habits, guard, slot)
        able = (least <= family.power_kwh) & (most >= 0.0)
        safe &= (least <= most) & (able | (slot > 0))
        allowed = family.limits(state, habits, guard, slot)
        state = family.advance(state, wild(allowed.lower, allowed.upper, rng), habits, slot)
        assert float((family.discomfort(state, habits, slot, HOURS).cost * safe).max()) < 1e-9


@settings(max_examples=4)
@given(seed=SEED)
def test_vehicles_with_v2g_leave_with_what_they_were_promised(seed: int) -> None:
    kind, today, rng = EvConfig(count=3, v2g_kw=7.0, efficiency=0.9), day(seed), torch.Generator().manual_seed(seed)
    family, habits = kind.build(2, HOURS), kind.draw(Dice.of([seed]), today)
    state = family.start(habits)
    stored, given_back = state.stored_kwh, torch.zeros(1, 3).double()
    for slot in range(SLOTS):
        allowed = family.limits(state, habits, None, slot)
        energy = wild(allowed.lower, allowed.upper, rng)
        stored = stored + energy.clamp(min=0.0) * 0.9 + energy.clamp(max=0.0) / 0.9
        given_back = given_back - energy.clamp(max=0.0)
        state = family.advance(state, energy, habits, slot)
        assert float(family.discomfort(state, habits, slot, HOURS).cost.max()) < 1e-9
        assert float(state.stored_kwh.min()) > -1e-9 and float(state.stored_kwh.max()) < kind.usable_kwh + 1e-9
    torch.testing.assert_close(state.stored_kwh, stored, rtol=0.0, atol=1e-9)
    assert float(given_back.max()) > 1.0


@pytest.mark.parametrize("kind", [WashingMachineConfig(count=3, chance=1.0), IndustryConfig(count=2)])
@settings(max_examples=4)
@given(seed=SEED)
def test_programmes_take_what_they_are(kind: WashingMachineConfig | IndustryConfig, seed: int) -> None:
    """Every run is whole, inside its window, and after the one before it."""
    family, today, rng = kind.build(2, HOURS), day(seed), torch.Generator().manual_seed(seed)
    habits = kind.draw(Dice.of([seed]), today)
    state, total = family.start(habits), torch.zeros(1, kind.count).double()
    for slot in range(SLOTS):
        allowed = family.limits(state, habits, None, slot)
        energy = family.snap(wild(allowed.lower, allowed.upper, rng), allowed)
        total, state = total + energy, family.advance(state, energy, habits, slot)
    device = torch.arange(kind.count)
    chosen = family.profile_kwh[device, habits.programme].sum(dim=(1, 3))
    torch.testing.assert_close(total, chosen, rtol=0.0, atol=1e-9)
    assert torch.all((state.start >= habits.ready) & (state.start <= habits.latest))
    ends = state.start + family.duration[device, habits.programme]
    assert torch.all(state.start[:, 1:] >= ends[:, :-1])


def test_roofs_produce_what_the_sun_allows_and_draw_reactive_power_by_output() -> None:
    """A roof of 6 kW under 1 kW/m2: 6 * 0.86 * 1.1 = 5.676 kW; at 4.5 of 6 kW the power factor is half way to 0.9."""
    kind = PvConfig(count=1, power_factor=0.9)
    family, habits = kind.build(1, HOURS), kind.expected(day(1))
    assert torch.allclose(
        family.sunshine(torch.tensor([[1.0]]).double()).available_kwh, torch.tensor(5.676 / 4).double()
    )
    allowed = family.limits(family.start(habits), habits, None, 10)
    assert torch.equal(allowed.lower, -habits.available_kwh[:, 10]) and torch.equal(allowed.default, allowed.lower)
    drawn = family.reactive(torch.tensor([[-4.5 / 4], [-2.0 / 4], [0.0]]).double(), habits, 10)
    assert drawn is not None
    assert drawn[:, 0].tolist() == pytest.approx([4.5 / 4 * math.tan(math.acos(0.95)), 0.0, 0.0])
