"""Every kind of device: what its engine can do, its program can do at equal cost, and the other way round.

A day with prices on both sides of zero is drawn for each kind alone. A random trajectory within the limits is fixed in
the program, which must find it feasible at the cost that the engine charges. The program's own optimum is replayed in
the engine's physics, which must charge what the program planned.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.solver import Effort, Solution, Solver
from totalflex_env import fleet
from totalflex_env.config import DevicesConfig, EnvConfig
from totalflex_env.devices.family import Day, Weather
from totalflex_env.devices.storage import Storage
from totalflex_env.dice import Dice
from totalflex_env.flexoffer.generate import generate
from totalflex_env.flexoffer.offers import load, validate
from totalflex_env.flexoffer.respond import respond
from totalflex_env.linear_types import LinearBlock
from totalflex_env.types import Forecast, Params, Scenario, State

SLOTS, COUNT = 96, 3
EXACT = Effort(gap=0.0, gap_eur=0.0, seconds=60.0)
KINDS = {name: {} for name, settings in DevicesConfig() if hasattr(settings, "family")} | {
    "ev with V2G": {"v2g_kw": 7.0, "efficiency": 0.92},
    "hot_water with a rod": {"rod": True, "power_kw": 2.0},
    "pv with reactive power": {"power_factor": 0.9},
    "charging_park behind a small connection": {"connection_kw": 12.0},
}
PROGRAMMES = ("ev_block", "dishwasher", "washing_machine", "dryer", "industry")
"""A start has one price, waiting before it included: their programs cannot forget what is past."""
SEEDS = range(2)


def world(kind: str, slots: int = SLOTS) -> Params:
    """A world with devices of one kind and without a grid."""
    name, changes = kind.split(" ")[0], KINDS[kind]
    devices = DevicesConfig.model_validate({name: {"count": COUNT, **changes}})
    families, kinds = fleet.build(devices, 2, 0.25)
    nothing, config = torch.zeros(0, dtype=torch.int64), EnvConfig(name="made up", slots=slots, devices=devices)
    return Params(config, families, kinds, families[0].house, nothing, None, nothing, nothing.bool(), 0.25, nothing)  # type: ignore[arg-type]


def scenarios(params: Params, seed: int, slots: int = SLOTS) -> tuple[Scenario, Scenario]:
    """A day and its expectation, one row, the weather off by a kelvin."""
    dice = Dice.of([seed])
    hour = torch.arange(slots, dtype=torch.float64) / 4.0
    warm = 4.0 + 8.0 * (seed % 3) + 3.0 * torch.cos((hour - 3.0) * torch.pi / 12.0)[None]
    sun = 0.6 * torch.cos((hour - 1.0) * torch.pi / 12.0).clamp(min=0.0)[None]
    price, groups = torch.from_numpy(-0.1 + 0.5 * dice.uniform(slots)), fleet.kinds(params.config.devices)

    def scenario(temperature: Tensor, drawn: bool) -> Scenario:
        day = Day(Weather(temperature, sun), torch.tensor([seed % 7]), 12.0)
        parts = [each.draw(dice, day) if drawn else each.expected(day) for group in groups for _, each in group]
        habits, nobody = fleet.side_by_side(params.config.devices, parts), torch.zeros(1, slots, 0).double()
        return Scenario(price, price, price, 0.0 * price, temperature, sun, nobody, nobody, nobody, habits)

    return scenario(warm, True), scenario(warm - 1.0, False)


def cost_of(params: Params, scenario: Scenario, energy: Tensor) -> float:
    """What the engine charges for a schedule [T, N]: energy at the spot price, discomfort, shortfall."""
    state, cost = fleet.start(params, scenario), (scenario.spot[0] @ energy).sum()
    for slot in range(len(energy)):
        state = fleet.advance(params, state, energy[slot][None], scenario, slot)
        cost = cost + fleet.discomfort(params, state, scenario, slot).cost.sum()
    missing = fleet.shortfall(params, state, scenario).sum()
    return float(cost + missing * scenario.spot.mean().clamp(min=0.0))


def block_of(params: Params, scenario: Scenario, guards: tuple[Any, ...]) -> LinearBlock:
    """The program of the only family, energies at the spot price."""
    start = fleet.start(params, scenario)
    [rest] = fleet.rests(params, scenario, start, guards, 0, scenario.spot[0] < 0.0)
    block = params.families[0].linear(rest)
    price = block.energy.value * scenario.spot[0, block.energy.slot]
    return replace(block, cost=block.cost.index_add(0, block.energy.column, price))


def fixed_at(block: LinearBlock, energy: Tensor, slot: int = 0) -> LinearBlock:
    """The program with the energies [T, N] from `slot` on given."""
    later = block.energy.slot >= slot
    at, device, column, value = (part[later] for part in vars(block.energy).values())
    rows = replace(
        block.rows,
        row=torch.cat([block.rows.row, len(block.row_lower) + (at - slot) * energy.shape[1] + device]),
        column=torch.cat([block.rows.column, column]),
        value=torch.cat([block.rows.value, value]),
    )
    lower, upper = (torch.cat([bound, energy[slot:].flatten()]) for bound in (block.row_lower, block.row_upper))
    return replace(block, rows=rows, row_lower=lower, row_upper=upper)


def wander(params: Params, actual: Scenario, guards: tuple[Any, ...], seed: int) -> Tensor:
    """A random schedule [T, N] within the limits, often at one of their ends."""
    draw, state, energies = torch.Generator().manual_seed(seed), fleet.start(params, actual), []
    for slot in range(actual.spot.shape[1]):
        parts = zip(params.families, state.parts, actual.habits, guards, strict=True)
        [allowed] = [family.limits(part, habits, guard, slot) for family, part, habits, guard in parts]
        assert torch.all(allowed.lower <= allowed.upper + 1e-12)
        assert torch.all(allowed.default <= allowed.upper + 1e-12)
        wild = (3.0 * torch.rand(allowed.lower.shape, generator=draw, dtype=torch.float64) - 1.0).clamp(0.0, 1.0)
        energy = fleet.snap(params, torch.lerp(allowed.lower, allowed.upper, wild), allowed)
        state = fleet.advance(params, state, energy, actual, slot)
        energies.append(energy[0])
    return torch.stack(energies)


def schedule(block: LinearBlock, found: Solution, slots: int) -> Tensor:
    """The energies [T, N] of a solution."""
    energy, where = torch.zeros(slots, COUNT).double(), block.energy
    value = torch.from_numpy(found.value)[where.column]
    return energy.index_put_((where.slot, where.device), where.value * value, accumulate=True)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_engine_does_the_program_can_do_at_equal_cost(kind: str) -> None:
    params = world(kind)
    for seed in SEEDS:
        actual, expected = scenarios(params, seed)
        guards = fleet.guards(params, expected)
        energy = wander(params, actual, guards, seed)
        found = Solver(fixed_at(block_of(params, actual, guards), energy)).solve(EXACT)
        assert found.objective == pytest.approx(cost_of(params, actual, energy), abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_program_plans_the_engine_does_at_equal_cost(kind: str) -> None:
    params = world(kind)
    for seed in SEEDS:
        actual, _ = scenarios(params, seed)
        block = block_of(params, actual, fleet.guards(params, actual))
        found = Solver(block).solve(EXACT)
        assert cost_of(params, actual, schedule(block, found, SLOTS)) == pytest.approx(found.objective, abs=1e-5)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in PROGRAMMES])
def test_a_program_made_later_counts_what_is_still_to_come(kind: str) -> None:
    """The rest of a random day costs in the program what it costs in the engine from there on."""
    params, slot = world(kind), 40
    actual, _ = scenarios(params, 1)
    guards = fleet.guards(params, actual)
    energy, state = wander(params, actual, guards, 5), fleet.start(params, actual)
    for before in range(slot):
        state = fleet.advance(params, state, energy[before][None], actual, before)
    [rest] = fleet.rests(params, actual, state, guards, slot, actual.spot[0] < 0.0)
    block = params.families[0].linear(rest)
    found = Solver(fixed_at(block, energy, slot)).solve(EXACT)
    cost = torch.zeros(())
    for now in range(slot, SLOTS):
        state = fleet.advance(params, state, energy[now][None], actual, now)
        cost = cost + fleet.discomfort(params, state, actual, now).cost.sum()
    cost = cost + fleet.shortfall(params, state, actual).sum() * actual.spot.mean().clamp(min=0.0)
    assert found.objective == pytest.approx(float(cost), abs=1e-6)


@pytest.mark.parametrize(
    "kind", ["ev", "ev with V2G", "ev_block", "charging_park", "washing_machine", "dishwasher", "industry"]
)
def test_three_days_in_a_row(kind: str) -> None:
    """Several sessions and runs, one after the other: a trajectory and the optimum, at equal cost on both sides."""
    slots = 288
    params = world(kind, slots)
    actual, expected = scenarios(params, 4, slots)
    assert vars(actual.habits[0])["arrival" if hasattr(actual.habits[0], "arrival") else "ready"].shape[1] >= 3
    guards = fleet.guards(params, expected)
    energy, block = wander(params, actual, guards, 4), block_of(params, actual, guards)
    fixed = Solver(fixed_at(block, energy)).solve(EXACT)
    assert fixed.objective == pytest.approx(cost_of(params, actual, energy), abs=1e-6)
    found = Solver(block).solve(EXACT)
    assert found.objective <= fixed.objective + 1e-6
    assert cost_of(params, actual, schedule(block, found, slots)) == pytest.approx(found.objective, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("slot", [0, 37])
def test_any_assignment_of_an_offer_keeps_the_limits(kind: str, slot: int) -> None:
    """The default and the optima at random prices are followed to the end of the day, when all is as forecast."""
    params, nothing = world(kind), torch.zeros(1).double()
    actual, _ = scenarios(params, 2)
    guards, before = fleet.guards(params, actual), wander(params, actual, fleet.guards(params, actual), 6)
    state = fleet.start(params, actual)
    for passed in range(slot):
        state = fleet.advance(params, state, before[passed][None], actual, passed)
    offers = generate(params, Forecast(slot, actual), State(slot, state, state, nothing, nothing))
    validate(offers)
    prices = torch.randn(2, SLOTS, generator=torch.Generator().manual_seed(slot)).double()
    answers = [(offers.default_start, offers.default), *(respond(offers, price) for price in prices)]
    for number, (start, energy) in enumerate(answers):
        asked = torch.zeros(COUNT, SLOTS).double().index_add(0, offers.device, load(offers, start, energy, SLOTS))
        now, offered = state, torch.zeros(COUNT, dtype=torch.int64)
        ends = start + offers.slices if isinstance(params.families[0], Storage) else torch.full_like(start, SLOTS)
        offered = offered.index_copy(0, offers.device, ends)  # later sessions are not offered yet
        for later in range(slot, SLOTS):
            parts = zip(params.families, now.parts, actual.habits, guards, strict=True)
            [allowed] = [family.limits(part, habits, guard, later) for family, part, habits, guard in parts]
            wanted = torch.where(later < offered, asked[:, later], allowed.default)
            assert torch.all(wanted >= allowed.lower - 1e-9) and torch.all(wanted <= allowed.upper + 1e-9)
            torch.testing.assert_close(fleet.snap(params, wanted, allowed), wanted, rtol=0.0, atol=1e-9)
            if number == 0:
                torch.testing.assert_close(wanted, allowed.default, rtol=0.0, atol=1e-9)
            now = fleet.advance(params, now, wanted, actual, later)
