"""The rolling horizon."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from baselines import foresight
from baselines.default_schedule import DefaultSchedule
from baselines.rolling import RollingMilp, deviation
from baselines.solver import Effort
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.rollout import Trace, rollout
from totalflex_env.types import Episode, Params


def run(params: Params, episode: Episode, policy: RollingMilp) -> Trace:
    return rollout(params, nominate(params, episode, policy), policy)


def test_it_plans_every_hour_and_on_arrivals(params: Params, episode: Episode) -> None:
    policy = RollingMilp()
    sessions, climate, windows = episode.actual.habits
    late = replace(sessions, arrival=torch.tensor([[[20, 22, 23, 0]]]))
    habits = (late, climate, replace(windows, ready=torch.tensor([[[30]]])))
    run(params, replace(episode, actual=replace(episode.actual, habits=habits)), policy)
    assert [solve.slot for solve in policy.solves] == sorted({*range(0, 96, 4), 22, 23, 30})
    assert all(solve.complete and solve.gap_eur <= 0.005 + 0.005 * abs(solve.cost_eur) for solve in policy.solves)


def test_with_nothing_hidden_it_is_as_good_as_foresight(params: Params, episode: Episode) -> None:
    """On a day that comes as expected, only the safety margin of the grid and the width of the comfort band differ."""
    known = replace(episode, expected=episode.actual)
    best = foresight.foresight(params, known)
    default = rollout(params, nominate(params, known, DefaultSchedule()), DefaultSchedule()).cost()
    cost = run(params, known, RollingMilp(Effort(gap=1e-4, gap_eur=1e-4))).cost()
    assert float(cost) >= float(best.bound_eur) - 1e-6
    assert float((cost - best.cost_eur) / (default - best.cost_eur)) < 0.02


def test_it_beats_the_default_when_things_are_hidden(params: Params, episode: Episode) -> None:
    default = rollout(params, nominate(params, episode, DefaultSchedule()), DefaultSchedule()).cost()
    trace = run(params, episode, RollingMilp())
    assert float(trace.cost()) < float(default)
    assert float(trace.outcomes.unmet_kwh.sum()) == pytest.approx(0.0, abs=1e-9)


def test_out_of_time_it_acts_on_the_best_plan_found(params: Params, episode: Episode) -> None:
    policy = RollingMilp(Effort(gap=0.0, gap_eur=0.0, seconds=0.0))
    trace = run(params, episode, policy)
    assert not all(solve.complete for solve in policy.solves)
    assert all(solve.gap_eur < float("inf") for solve in policy.solves)
    assert float(trace.outcomes.unmet_kwh.sum()) == pytest.approx(0.0, abs=1e-9)


def test_what_cannot_be_planned_grows_with_the_lead_time(params: Params, episode: Episode) -> None:
    found = deviation(params, episode.actual, 40)
    assert float(found[:40].abs().sum()) == 0.0
    assert bool((found[40:].diff() >= 0.0).all()) and float(found[40]) > 0.0
