"""Perfect foresight: the cheapest plan for a day known in advance, replayed in the engine, and a bound on any plan."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from baselines.decomposed import DecomposedPlanner
from baselines.planner import Plan, Planner, Planning
from baselines.program import Task
from baselines.solver import Effort
from baselines.tangents import (
    Tangents,
    inflexible_kw,
    loading_at,
    overestimate,
    shifted,
    tangents,
    voltage_at,
    watched_nodes,
)
from totalflex_env import batch, fleet
from totalflex_env.engine import scripted
from totalflex_env.engine.nominate import share, shares_nomination
from totalflex_env.engine.rollout import Trace, rollout
from totalflex_env.types import Action, Episode, Params, Situation

EFFORT = Effort(gap=1e-3, gap_eur=2e-3, seconds=60.0)

MANY = 500
"""Devices from which one program takes longer than the decomposed one."""

RE_SOLVES = 2
"""How often a plan is made again with the grid corrected by what its replay measured."""

REPLAY_TOLERANCE_EUR = 0.01
"""A replay that costs no more than this beyond its plan is good enough."""

ROUNDING_EUR = 1e-4
"""Cost of imbalance in a day that comes of energies and prices being rounded in the market."""

NEAR_LIMIT = 0.95
"""Loading from which the gap between tangents and AC power flow matters."""


class FollowPlan:
    """Asks firmly for the energies of a plan [B, T, N] kWh, slot by slot."""

    def __init__(self, plan_kwh: Tensor) -> None:
        self.plan_kwh = plan_kwh

    def reset(self, situation: Situation) -> None:
        """A plan holds for one episode."""

    def act(self, situation: Situation) -> Action:
        """Return the action that asks for this slot of the plan."""
        return scripted.follow(situation, self.plan_kwh[:, situation.state.slot])


@dataclass(frozen=True)
class ForesightPlan:
    """The best plans for B days, and what is proven about them."""

    energy_kwh: Tensor  # [B, T, N]
    planned_cost_eur: Tensor  # [B] by the program
    cost_eur: Tensor  # [B] by the replay in the engine
    bound_eur: Tensor  # [B] no trajectory of the engine costs less
    mip_gap: Tensor  # [B] of the plan, as a share of its cost, of 1 EUR where the cost is smaller
    seconds: Tensor  # [B] in the solver
    trace: Trace  # the replay; with a nomination of its own there is no imbalance beyond rounding


@dataclass(frozen=True)
class _Day:
    """One row with its plan."""

    episode: Episode  # a batch of one row
    tangents: Tangents
    plan: Plan
    bound_eur: float
    seconds: float


def foresight(
    params: Params, episode: Episode, effort: Effort = EFFORT, planner: Planning | None = None
) -> ForesightPlan:
    """Return the cheapest plan for every row of `episode`, known in advance, replayed in the engine.

    The planner is by default one program for everything, or a decomposed one for large fleets. Episodes may be days or
    weeks.

    The first programs have their limits relaxed by as much as the tangents exceed the AC power flow, so that their dual
    bound holds for everything the engine can do. Where a replay costs more than planned, the tangents are shifted by
    the measured gap and the plan is made again.

    A plan is its own nomination, unless the imbalance rule makes all policies share one: then the plan is the cheapest
    beside that nomination, and the bound holds for whoever has it.
    """
    params, episode = batch.to(params, dtype=torch.float64), batch.to(episode, dtype=torch.float64)
    if shares_nomination(params):
        episode = share(params, episode)
    planner = planner or (Planner(effort) if len(params.house) < MANY else DecomposedPlanner(effort))
    nodes = watched_nodes(params, episode.actual)
    rows = [batch.take_rows(episode, torch.tensor([i])) for i in range(len(episode.actual.spot))]
    days = [_first(params, row, planner, nodes) for row in rows]
    trace = _replay(params, days)
    for _ in range(RE_SOLVES):
        excess = trace.cost() - _planned(days)
        if float(excess.amax()) <= REPLAY_TOLERANCE_EUR:
            break
        again = [
            _again(params, day, planner, batch.take_rows(trace, torch.tensor([i])))
            if float(excess[i]) > REPLAY_TOLERANCE_EUR
            else day
            for i, day in enumerate(days)
        ]
        retry = _replay(params, again)
        better = retry.cost() < trace.cost()
        days = [new if bool(better[i]) else old for i, (old, new) in enumerate(zip(days, again))]
        trace = batch.where_rows(better, retry, trace)
    solutions = [day.plan.solution for day in days]
    return ForesightPlan(
        energy_kwh=torch.stack([day.plan.energy_kwh for day in days]),
        planned_cost_eur=_planned(days),
        cost_eur=trace.cost(),
        bound_eur=torch.tensor([day.bound_eur for day in days], dtype=torch.float64),
        mip_gap=torch.tensor([s.gap_eur / max(1.0, abs(s.objective)) for s in solutions], dtype=torch.float64),
        seconds=torch.tensor([day.seconds for day in days], dtype=torch.float64),
        trace=trace,
    )


def _first(params: Params, row: Episode, planner: Planning, nodes: Tensor) -> _Day:
    grid = tangents(params, row.actual, nodes)
    plan = planner.plan(_task(params, row, grid, 1.0 + overestimate(params, row.actual, grid)))
    return _Day(row, grid, plan, plan.solution.bound, plan.solution.seconds)


def _again(params: Params, day: _Day, planner: Planning, trace: Trace) -> _Day:
    """Plan again with the tangents shifted to what the replay, a batch of one row, measured close to the limits."""
    energy = trace.outcomes.energy_kwh[0]
    fixed = inflexible_kw(params, day.episode.actual)[0]
    power = fixed.index_add(1, params.house, energy / params.slot_hours)
    flow = trace.outcomes.flow
    loading = flow.loading[0][:, params.limited]
    gap = torch.where(loading > NEAR_LIMIT, loading - loading_at(day.tangents, power), 0.0)
    voltage_gap = flow.voltage[0][:, day.tangents.node, None] - voltage_at(day.tangents, power)
    grid = shifted(day.tangents, gap, voltage_gap)
    plan = planner.plan(_task(params, day.episode, grid, torch.ones_like(gap)), day.plan)
    return replace(day, tangents=grid, plan=plan, seconds=day.seconds + plan.solution.seconds)


def _task(params: Params, row: Episode, grid: Tangents, limit: Tensor) -> Task:
    return Task(
        params=params,
        scenario=row.actual,
        state=fleet.start(params, row.actual),
        slot=0,
        guards=row.guards,
        tangents=grid,
        limit=limit,
        nomination_kwh=row.nomination_kwh[0] if shares_nomination(params) else None,
        deviation_kwh=torch.zeros(len(limit), dtype=torch.float64),
    )


def _planned(days: list[_Day]) -> Tensor:
    return torch.tensor([day.plan.solution.objective for day in days], dtype=torch.float64)


def _replay(params: Params, days: list[_Day]) -> Trace:
    """Run the plans, nominated as planned; again as they came if that differs by more than the market's rounding."""
    policy = FollowPlan(torch.stack([day.plan.energy_kwh for day in days]))
    episode = batch.concatenate_rows([day.episode for day in days])
    if shares_nomination(params):
        return rollout(params, episode, policy)
    planned = torch.stack([day.plan.net_kwh for day in days])
    first = rollout(params, replace(episode, nomination_kwh=planned), policy)
    if float(first.outcomes.costs.imbalance.sum(dim=1).amax()) <= ROUNDING_EUR:
        return first
    return rollout(params, replace(episode, nomination_kwh=first.net_kwh), policy)
