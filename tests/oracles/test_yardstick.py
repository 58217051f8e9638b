"""The law of the yardstick: what the engine can do, the program can do at equal cost, and nothing beats the bound."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.default_schedule import DefaultSchedule
from baselines.foresight import FollowPlan, ForesightPlan, foresight
from baselines.greedy import PriceGreedy
from baselines.program import Program, Task, assemble, fixed_at
from baselines.rolling import RollingMilp
from baselines.solver import Effort, Solver
from baselines.tangents import tangents
from baselines.timer import Timer
from totalflex_env import batch, fleet
from totalflex_env import config as settings
from totalflex_env.devices.appliance import Windows
from totalflex_env.devices.sessions import Sessions
from totalflex_env.devices.storage import Storage
from totalflex_env.devices.thermal import Climate, Thermal
from totalflex_env.engine import scripted
from totalflex_env.engine.build import build, episode_of
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.rollout import rollout
from totalflex_env.types import Action, Episode, Params, Policy, Scenario, Situation
from totalflex_env.units import SLOT_HOURS

SLOTS = 24
COUNTS = {"ev": 3, "battery": 2, "heat_pump": 2, "freezer": 1, "dishwasher": 2}
DEVICES = settings.DevicesConfig.model_validate(
    {name: {"count": count} for name, count in COUNTS.items()} | {"heat_pump": {"count": 2, "power_kw": (1.5, 5.0)}}
)
EXACT = Effort(gap=0.0, gap_eur=0.0)


@pytest.fixture(scope="module")
def params() -> Params:
    """Two houses with ten devices of all kinds; the third vehicle also gives back."""
    config = settings.EnvConfig(
        name="yardstick",
        slots=4,
        grid=settings.GridConfig(source="two_house"),
        scenario=settings.ScenarioConfig(source="tiny"),
    )
    families, kinds = fleet.build(DEVICES, 2, SLOT_HOURS)
    lossy = torch.tensor([1.0, 1.0, 0.9, 0.95, 0.95]).double()
    both_ways = torch.tensor([0.0, 0.0, 2.75, 1.0, 1.0]).double()
    store = replace(families[0], discharge_kwh=both_ways, charge_efficiency=lossy, discharge_efficiency=lossy)
    return replace(
        build(config).params,
        config=config.model_copy(update={"devices": DEVICES}),
        families=(store, *families[1:]),
        kinds=kinds,
        house=torch.cat([family.house for family in families]),
    )


def random_habits(family: Any, outdoors: Tensor, uniform: Callable[..., Tensor], whole: Callable[..., Tensor]) -> Any:
    """Sessions that hold their needs, houses that are too cold or too warm at times, windows of up to four slots."""
    slots, count = outdoors.shape[1], len(family.house)
    if isinstance(family, Storage):
        arrival = torch.where(family.session, whole(0, slots // 2, count), 0)
        departure = torch.where(family.session, arrival + whole(1, slots // 2, count), slots)
        fits = (departure - arrival) * family.charge_kwh * family.charge_efficiency
        need = torch.where(family.session, torch.minimum(uniform(0.0, 15.0, count), fits), 0.0)
        stored = torch.where(family.session, 0.0, uniform(0.0, 8.0, count))
        return Sessions(arrival[:, None], departure[:, None], need[:, None], stored[:, None])
    if isinstance(family, Thermal):
        heating = family.direction > 0.0
        cop = torch.where(heating, uniform(2.0, 4.0, slots, count), 1.6)
        ambient = torch.where(heating, outdoors[..., None], 20.0)
        return Climate(ambient, cop, family.setpoint + uniform(-1.3, 1.3, count))
    ready = whole(0, max(slots - 8, 0), count)[:, None]
    return Windows(ready, ready + whole(0, 3, count)[:, None], torch.zeros_like(ready))


def missed(habits: Any, seed: int) -> Any:
    """What was expected instead: another climate."""
    if not isinstance(habits, Climate):
        return habits
    return replace(habits, ambient=habits.ambient + 3.0 * (seed % 3 - 1), cop=habits.cop * 1.1)


def random_scenario(params: Params, seed: int, slots: int = SLOTS) -> Scenario:
    """A day of one row with prices on both sides of zero, and houses that are too cold or too warm at times."""
    rng = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(1, *shape, generator=rng, dtype=torch.float64)

    def whole(low: int, high: int, count: int) -> Tensor:
        return torch.randint(low, high + 1, (1, count), generator=rng)

    spot = uniform(-0.1, 0.4, slots)
    outdoors = uniform(-12.0, 22.0, slots)
    habits = tuple(random_habits(family, outdoors, uniform, whole) for family in params.families)
    return Scenario(
        spot=spot,
        up=spot + uniform(0.0, 0.2, slots),
        down=spot - uniform(0.0, 0.2, slots),
        wind_kwh=uniform(0.0, 5.0, slots),
        temperature=outdoors,
        base_kwh=uniform(0.0, 1.0, slots, len(params.node)),
        base_kvarh=uniform(0.0, 0.3, slots, len(params.node)),
        pv_kwh=uniform(0.0, 2.0, slots, len(params.node)),
        irradiance=torch.zeros_like(spot),
        habits=habits,
    )


class Wander:
    """Asks for any energy between the limits, often for one of the two ends."""

    def __init__(self, seed: int) -> None:
        self.rng = torch.Generator().manual_seed(seed)

    def reset(self, situation: Situation) -> None:
        pass

    def act(self, situation: Situation) -> Action:
        share = (2.0 * torch.rand(situation.lower.shape, generator=self.rng, dtype=torch.float64) - 0.5).clamp(0.0, 1.0)
        return scripted.untraded(situation, situation.lower + share * (situation.upper - situation.lower))


def random_episode(params: Params, seed: int, slots: int = SLOTS) -> Episode:
    """An episode whose expectation misses the truth."""
    actual = random_scenario(params, seed, slots)
    expected = replace(actual, habits=tuple(missed(habits, seed) for habits in actual.habits))
    nomination = 4.0 * torch.rand(1, slots, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return replace(episode_of(params, actual, expected), nomination_kwh=nomination)


def program_of(params: Params, episode: Episode, own_nomination: bool = False) -> Program:
    """The program of a whole episode, with a grid that is never full."""
    nodes = torch.zeros(0, dtype=torch.int64)
    grid = tangents(params, episode.actual, nodes)
    return assemble(
        Task(
            params=params,
            scenario=episode.actual,
            state=fleet.start(params, episode.actual),
            slot=0,
            guards=episode.guards,
            tangents=grid,
            limit=torch.full(grid.loading.shape[:2], 1e6, dtype=torch.float64),
            nomination_kwh=None if own_nomination else episode.nomination_kwh[0],
            deviation_kwh=torch.zeros_like(episode.nomination_kwh[0]),
        )
    )


def compare(params: Params, seeds: range) -> None:
    """Roll all days out together, then fix each in the program, which keeps one solver for all of them."""
    episodes = batch.concatenate_rows([random_episode(params, seed) for seed in seeds])
    outcomes = rollout(params, episodes, Wander(seeds[0])).outcomes
    cost = (outcomes.costs.total() - outcomes.costs.overload - outcomes.costs.voltage).sum(dim=1)
    solver = None
    for i, seed in enumerate(seeds):
        program = program_of(params, batch.take_rows(episodes, torch.tensor([i])))
        block = fixed_at(program, outcomes.energy_kwh[i]).block
        solver = solver or Solver(block)
        solver.update(block)
        assert solver.solve(EXACT).objective == pytest.approx(float(cost[i]), abs=1e-6), seed


def test_engine_trajectories_are_feasible_at_equal_cost(params: Params) -> None:
    compare(params, range(50))


@pytest.mark.slow
def test_a_thousand_engine_trajectories_are_feasible_at_equal_cost(params: Params) -> None:
    compare(params, range(1000, 2000))


def crowded(params: Params, factor: float) -> Params:
    """The same world behind a grid whose ratings are divided by `factor`."""
    grid = params.grid
    tight = replace(
        grid,
        rating_kva=grid.rating_kva / factor,
        end_loading=grid.end_loading * factor,
        no_load_end_loading=grid.no_load_end_loading * factor,
        tree=replace(grid.tree, charging=grid.tree.charging * factor, loading=grid.tree.loading * factor),
    )
    transformer = torch.tensor([len(grid.rating_kva) - 1])
    members = torch.ones(1, len(params.node), dtype=torch.bool)
    return replace(params, grid=tight, limited=transformer, members=members)


@pytest.fixture(scope="module")
def tight(params: Params) -> Params:
    """The same behind a transformer that is too small for what the devices would like to do."""
    return crowded(params, 2.0)


@pytest.fixture(scope="module")
def episode(tight: Params) -> Episode:
    return batch.concatenate_rows([random_episode(tight, seed) for seed in range(5)])


@pytest.fixture(scope="module")
def plan(tight: Params, episode: Episode) -> ForesightPlan:
    return foresight(tight, episode)


def test_the_replay_costs_what_was_planned(tight: Params, episode: Episode, plan: ForesightPlan) -> None:
    default = rollout(tight, nominate(tight, episode, DefaultSchedule()), DefaultSchedule()).cost()
    difference = (plan.cost_eur - plan.planned_cost_eur).abs()
    assert float((difference / (default - plan.cost_eur)).amax()) < 0.02
    assert float(default.sum() - plan.cost_eur.sum()) > 1.0


def test_the_grid_binds(tight: Params, episode: Episode, plan: ForesightPlan) -> None:
    greedy = rollout(tight, episode, PriceGreedy()).outcomes
    assert float(greedy.flow.loading[..., tight.limited].amax()) > 1.2
    assert float(plan.trace.outcomes.overload_kvah.sum()) < 0.1 * float(greedy.overload_kvah.sum())


@pytest.mark.parametrize("policy", [DefaultSchedule(), PriceGreedy(), Timer(), RollingMilp(), Wander(3)])
def test_no_policy_costs_less_than_the_bound(
    tight: Params, episode: Episode, plan: ForesightPlan, policy: Policy
) -> None:
    trace = rollout(tight, nominate(tight, episode, policy), policy)
    assert bool((trace.cost() >= plan.bound_eur - 1e-6).all())
    assert bool((plan.cost_eur >= plan.bound_eur - 1e-6).all())


def test_a_row_does_not_depend_on_the_others(tight: Params, episode: Episode, plan: ForesightPlan) -> None:
    alone = foresight(tight, batch.take_rows(episode, torch.tensor([2])))
    assert float(alone.bound_eur) == pytest.approx(float(plan.bound_eur[2]), abs=1e-3)
    assert float(alone.cost_eur) == pytest.approx(float(plan.cost_eur[2]), abs=2e-2)


def test_the_program_finds_the_optimum_of_all_schedules(params: Params) -> None:
    """Every schedule of a vehicle, a lossy battery and a dishwasher over four slots runs in the engine at once.

    Energies come in steps on which an optimum must lie: stored energy moves by 1 kWh up for 2 kWh drawn and by 1 kWh
    down for 0.5 kWh given. In slots with prices below zero, charging while discharging would pay if it were possible.
    """
    two = settings.DevicesConfig.model_validate({"ev": {"count": 1}, "battery": {"count": 1}})
    (small_store,), _ = fleet.build(two, 2, SLOT_HOURS)
    store = replace(
        small_store,
        charge_kwh=torch.tensor([1.0, 2.0]).double(),
        discharge_kwh=torch.tensor([0.0, 0.5]).double(),
        capacity_kwh=torch.tensor([4.0, 2.0]).double(),
        charge_efficiency=torch.tensor([1.0, 0.5]).double(),
        discharge_efficiency=torch.tensor([1.0, 0.5]).double(),
        unmet_price=torch.tensor([2.0, 0.0]).double(),
        house=torch.tensor([0, 1]),
    )
    wash = replace(
        params.families[2],
        profile_kwh=torch.tensor([[[1.0, 0.5]]]).double(),
        duration=torch.tensor([[2]]),
        delay_price=torch.tensor([0.01]).double(),
        house=torch.tensor([1]),
    )
    small = replace(
        params, families=(store, wash), kinds=("ev", "battery", "dishwasher"), house=torch.tensor([0, 1, 1])
    )
    steps = [[0.0, 1.0]] * 4, [[-0.5, 0.0, 2.0]] * 4
    vehicle, battery = (torch.tensor(list(itertools.product(*step))).double() for step in steps)
    start = torch.eye(4, dtype=torch.float64)[:3]
    choice = itertools.product(range(len(vehicle)), range(len(battery)), range(len(start)))
    schedules = torch.stack([torch.stack([vehicle[v], battery[b], start[s]], dim=1) for v, b, s in choice])
    for seed in range(8):
        actual = random_scenario(small, seed, 4)
        spot = actual.spot - (0.2 if seed % 2 else 0.0)
        actual = replace(actual, spot=spot, up=spot, down=spot)
        need, stored = torch.tensor([[[2.0, 0.0]]]).double(), torch.tensor([[[0.0, 1.0]]]).double()
        sessions = Sessions(torch.tensor([[[1, 0]]]), torch.tensor([[[4, 4]]]), need, stored)
        windows = Windows(torch.tensor([[[0]]]), torch.tensor([[[2]]]), torch.tensor([[[0]]]))
        actual = replace(actual, habits=(sessions, windows))
        episode = episode_of(small, actual, actual)
        everything = batch.take_rows(episode, torch.zeros(len(schedules), dtype=torch.int64))
        costs = rollout(small, everything, FollowPlan(schedules)).outcomes.costs
        best = (costs.total() - costs.voltage).sum(dim=1).amin()
        found = Solver(program_of(small, episode, own_nomination=True).block).solve(EXACT)
        assert found.objective == pytest.approx(float(best), abs=1e-5), seed
