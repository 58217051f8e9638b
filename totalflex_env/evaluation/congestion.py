"""Day-ahead forecasts of bottlenecks: joint scenarios, the answer of the market to each, and an AC power flow of all.

What is known at the gate is the day-ahead expectation of the coming day, spot prices included, and the days before. An
outage of an element is the same call on another grid, a larger fleet the same call in another world.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env import batch
from totalflex_env.engine.build import World, episode_of
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.step import connection, decide, moved, situation, start
from totalflex_env.evaluation.calibration import Calibration
from totalflex_env.evaluation.ensemble import Archive, joint_scenarios
from totalflex_env.grid import forecast
from totalflex_env.grid.forecast import GridForecast, Samples
from totalflex_env.grid_model import GridModel
from totalflex_env.types import Episode, Params, Policy, Scenario


@dataclass(frozen=True)
class Injections:
    """Mean power of every house in every slot of S scenarios."""

    active_kw: Tensor  # [S, T, P] consumption
    reactive_kvar: Tensor  # [S, T, P]


@dataclass(frozen=True)
class Forecaster:
    """All that a forecast needs beside the expectation of the day."""

    world: World
    archive: Archive
    policy: Policy  # how the flexible devices answer
    scenarios: int = 1000


def foresee(forecaster: Forecaster, expected: Scenario, calibration: Calibration | None = None) -> GridForecast:
    """Return the forecast of the day of which `expected` [1, ...] is known at the day-ahead gate."""
    params = forecaster.world.params
    return forecast_on(params.grid, params.node, injections(forecaster, expected), calibration)


def forecast_on(
    grid: GridModel, node: Tensor, power: Injections, calibration: Calibration | None = None
) -> GridForecast:
    """Return the forecast of `grid`, with house i at `node` [P], for the power of the houses.

    A calibration belongs to the grid that it was fitted on; another one (an outage) is forecast as the scenarios are.
    """
    samples = samples_on(grid, node, power)
    plain = forecast.summary(grid, samples)
    return plain if calibration is None else calibration.apply(plain, samples)


def samples_on(grid: GridModel, node: Tensor, power: Injections) -> Samples:
    """Return the loadings and voltages of all scenarios, in rising order."""
    active, reactive = (at_nodes(grid, node, part) for part in (power.active_kw, power.reactive_kvar))
    return forecast.sample(grid, active, reactive)


def injections(forecaster: Forecaster, expected: Scenario) -> Injections:
    """Return the power of the houses in the joint scenarios of one or more days, with the devices' answer to each.

    The S scenarios of the first row of `expected` [D, ...] come first, then those of the second: [D S, ...].
    """
    return scenarios_of(forecaster, planned(forecaster.world.params, expected, forecaster.policy))


def planned(params: Params, expected: Scenario, policy: Policy) -> Episode:
    """Return the days that are expected, [D, ...], with what `policy` buys for them at the day-ahead gate."""
    return nominate(params, episode_of(params, expected, expected), policy)


def scenarios_of(forecaster: Forecaster, plan: Episode) -> Injections:
    """Return what `injections` does, for days that are planned already."""
    days = [batch.take_rows(plan.expected, torch.tensor([day])) for day in range(len(plan.nomination_kwh))]
    drawn = [joint_scenarios(forecaster.archive, day, forecaster.scenarios) for day in days]
    return respond(forecaster.world.params, batch.concatenate_rows(drawn), plan, forecaster.policy)


def respond(params: Params, actual: Scenario, plan: Episode, policy: Policy) -> Injections:
    """Return the power of the houses when `actual` [D S, ...] comes and `policy` had bought by `plan` [D, ...].

    The engine plays every row from the first slot to the last; only money and grid are left out.
    """
    rows = torch.arange(len(plan.nomination_kwh)).repeat_interleave(len(actual.spot) // len(plan.nomination_kwh))
    episode = replace(batch.take_rows(plan, rows), actual=actual)
    state, nets = start(params, episode), []
    for slot in range(actual.spot.shape[1]):
        now = situation(params, episode, state)
        if slot == 0:
            policy.reset(now)
        decision = decide(now, policy.act(now))
        nets.append(connection(params, episode, slot, decision.energy_kwh))
        imbalance = nets[-1].total() - episode.nomination_kwh[:, slot]
        state = moved(params, episode, state, decision, (decision.energy_kwh, imbalance))
    active = torch.stack([net.active_kwh for net in nets], dim=1)
    reactive = torch.stack([net.reactive_kvarh for net in nets], dim=1)
    return Injections(active / params.slot_hours, reactive / params.slot_hours)


def houses_on(world: World, grid: GridModel) -> Tensor:
    """Return the node [P] of every house of `world` on another grid with the same buses, such as one with an outage."""
    bus_of_node = {node: bus for bus, node in world.params.grid.node_of_bus.items()}
    return torch.tensor([grid.node_of_bus[bus_of_node[int(node)]] for node in world.params.node])


def hosting_capacity(risk: Callable[[int], float], most: int, accepted: float) -> int:
    """Return the largest fleet from 0 to `most` whose `risk` is at most `accepted`; -1 if not even 0 is.

    `risk` maps a number of devices to, for instance, the highest probability of an overload that `foresee` finds in the
    world with so many; it must not fall as the fleet grows.
    """
    held, broken = -1, most + 1
    while broken - held > 1:
        middle = (held + broken) // 2
        if risk(middle) <= accepted:
            held = middle
        else:
            broken = middle
    return held


def at_nodes(grid: GridModel, node: Tensor, power: Tensor) -> Tensor:
    """Return the power of houses [S, T, P], house i at `node` [P], summed at the nodes [S, T, M] of the grid."""
    nodes = power.new_zeros(*power.shape[:2], len(grid.node_names))
    return nodes.index_add(2, node, power)
