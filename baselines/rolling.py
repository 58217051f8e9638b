"""The rolling horizon: plan to the end of the day with exactly the forecast that policies see, act, and plan again.

A new plan differs from the last one only where that saves something. Stored energy that is missing in the end against
the beginning costs what it costs in the engine, so no plan empties the batteries towards the end of its horizon.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from baselines.account import Account, account
from baselines.deviation import deviation
from baselines.planner import Plan, Planner
from baselines.program import Task
from baselines.solver import Effort
from baselines.tangents import Tangents, tangents, watched_nodes
from totalflex_env import batch, fleet
from totalflex_env.engine import scripted
from totalflex_env.types import Action, Params, Scenario, Situation

EFFORT = Effort(gap=5e-3, gap_eur=5e-3, seconds=10.0)

PLAN_EVERY = 4
"""Slots between two plans when no vehicle arrives and no appliance is loaded."""


@dataclass(frozen=True)
class Solve:
    """One plan that was made."""

    slot: int
    row: int
    cost_eur: float  # from the slot to the end of the day, as planned
    gap_eur: float
    seconds: float
    complete: bool  # False: time ran out, this is the best plan found by then


@dataclass(frozen=True)
class _Frame:
    """What stays for a day: the grid and the comfort bounds as expected at its start."""

    params: Params  # float64, whatever the episode is in
    tangents: list[Tangents]  # B
    guards: list[tuple[Any, ...]]  # B, of each family
    limit: Tensor  # [T, L]


class RollingMilp:
    """Plans every hour and whenever a vehicle arrives or an appliance is loaded; nominates its first plan."""

    def __init__(self, effort: Effort = EFFORT, plan_every: int = PLAN_EVERY) -> None:
        self.plan_every = plan_every
        self.solves: list[Solve] = []  # of the day
        self.day_ahead: Account | None = None  # what the plans that were nominated last come to
        self.nominated: list[Solve] = []  # these plans
        self._planner = Planner(effort)
        self._frame: _Frame
        self._plan_kwh: Tensor  # [B, T, N]
        self._plans: list[Plan | None] = []  # B, the last of each row

    def nominate(self, situation: Situation) -> Tensor:
        """Return the net consumption [B, T] kWh of the plan for the day as it is expected."""
        self.reset(situation)
        scenario = _known(situation)
        plans = [self._plan(situation, scenario, row, None) for row in range(len(scenario.spot))]
        self.nominated = self.solves
        self.day_ahead = account(self._frame.params, scenario, torch.stack([plan.energy_kwh for plan in plans]))
        return torch.stack([plan.net_kwh for plan in plans]).to(situation.nomination_kwh)

    def reset(self, situation: Situation) -> None:
        """Begin a day: find the tangents of its grid, forget its plans."""
        params, scenario = batch.to(situation.params, dtype=torch.float64), _known(situation)
        nodes, (rows, slots) = watched_nodes(params, scenario), scenario.spot.shape
        days = [batch.take_rows(scenario, torch.tensor([row])) for row in range(rows)]
        share = params.config.market.dso_share
        self._frame = _Frame(
            params=params,
            tangents=[tangents(params, day, nodes) for day in days],
            guards=[fleet.guards(params, day) for day in days],
            limit=torch.full((slots, len(params.limited)), share, dtype=torch.float64),
        )
        self._plan_kwh = torch.zeros(rows, slots, len(params.house), dtype=torch.float64)
        self._plans = [None] * rows
        self.solves = []

    def act(self, situation: Situation) -> Action:
        """Plan the rows in which something has changed, and ask firmly for this slot of the plans."""
        slot, rows = situation.state.slot, len(situation.lower)
        news = fleet.news(situation.params, situation.present, slot, rows) | (slot % self.plan_every == 0)
        if bool(news.any()):
            scenario = _known(situation)
            for row in torch.nonzero(news).flatten().tolist():
                self._plan_kwh[row] = self._plan(situation, scenario, row, situation.nomination_kwh[row]).energy_kwh
        return scripted.follow(situation, self._plan_kwh[:, slot].to(situation.lower))

    def _plan(self, situation: Situation, scenario: Scenario, row: int, nomination: Tensor | None) -> Plan:
        """Plan the rest of the day of one row; without a nomination the plan is its own."""
        only, frame, slot = torch.tensor([row]), self._frame, situation.state.slot
        known = batch.take_rows(scenario, only)
        task = Task(
            params=frame.params,
            scenario=known,
            state=batch.to(batch.take_rows(situation.state.devices, only), dtype=torch.float64),
            slot=slot,
            guards=frame.guards[row],
            tangents=frame.tangents[row],
            limit=frame.limit,
            nomination_kwh=nomination,
            deviation_kwh=deviation(frame.params, known, slot) * (nomination is not None),
        )
        plan = self._plans[row] = self._planner.plan(task, self._plans[row])
        found = plan.solution
        self.solves.append(Solve(slot, row, found.objective, found.gap_eur, found.seconds, found.complete))
        return plan


def _known(situation: Situation) -> Scenario:
    """Return what is known and expected of the day, in float64."""
    return batch.to(situation.forecast().scenario, dtype=torch.float64)
