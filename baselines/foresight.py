"""Perfect foresight: the cheapest plan for a day that is known in advance, replayed in the engine, and a bound on any plan."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from baselines.program import Task, assemble, energies, net_kwh
from baselines.solver import Effort, Solution, Solver
from baselines.tangents import Tangents, overestimate, tangents, watched_nodes
from totalflex_env import batch
from totalflex_env.devices import fleet
from totalflex_env.engine import scripted
from totalflex_env.engine.rollout import Trace, rollout
from totalflex_env.types import Action, Episode, Params, Situation

RE_SOLVES = 2
"""How often a plan is made again with the grid corrected by what its replay measured."""

REPLAY_TOLERANCE_EUR = 0.01
"""A replay that costs no more than this beyond its plan is good enough."""


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
    mip_gap: Tensor  # [B] of the plan, share of its cost (of 1 EUR where the cost is smaller)
    seconds: Tensor  # [B] in the solver
    trace: Trace  # the replay, without imbalance: the nomination is what happened


@dataclass(frozen=True)
class _Row:
    """One day on its way to a plan."""

    episode: Episode  # one row
    tangents: Tangents  # corrected by the replays so far
    limit: Tensor  # [T, L]
    bound_eur: float
    seconds: float
    plan: Solution
    energy_kwh: Tensor  # [T, N]
    net_kwh: Tensor  # [T]


def foresight(params: Params, episode: Episode, effort: Effort = Effort()) -> ForesightPlan:
    """Return the cheapest plan for every row of `episode`, known in advance, replayed in the engine.

    The first program has its limits relaxed by as much as the tangents exceed the AC power flow, so its dual bound holds for
    everything the engine can do. Where the replay costs more than planned, the tangents are shifted by the measured gap.
    """
    ...
