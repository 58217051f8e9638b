"""Plans crowd by crowd against one program for everything."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from baselines import catalog
from baselines.decomposed import DecomposedPlanner
from baselines.foresight import EFFORT, foresight
from benchmarks.large_fleet import large
from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.engine.build import build, draw
from totalflex_env.types import Episode, Params


@pytest.mark.parametrize("most_crowds", [1, 3, 400])
def test_it_finds_the_optimum_of_one_program(params: Params, episode: Episode, most_crowds: int) -> None:
    """Behind a transformer that three vehicles overload, so that prices of the grid decide."""
    known = replace(episode, expected=episode.actual)
    one = foresight(params, known)
    many = foresight(params, known, planner=DecomposedPlanner(EFFORT, most_crowds))
    allowed = max(EFFORT.gap_eur, EFFORT.gap * float(one.cost_eur.abs())) + 1e-6
    assert float((many.planned_cost_eur - one.planned_cost_eur).abs()) <= 2.0 * allowed
    assert float(many.bound_eur) <= float(one.planned_cost_eur) + 1e-6
    assert float(many.bound_eur) >= float(one.bound_eur) - 2.0 * allowed


@pytest.mark.parametrize("name", ["street", "office_industry"])
def test_it_agrees_with_one_program_on_scenarios(name: str) -> None:
    """Vehicles, batteries, heat, programmes, and in `office_industry` parks, industry, offices and solar power."""
    world = build(load(EnvConfig, name, "env"))
    episode = draw(world, [700])
    one = catalog.foresight(world.params, episode)
    many = foresight(world.params, episode, planner=DecomposedPlanner(EFFORT))
    allowed = 2.0 * EFFORT.gap * float(one.cost_eur.abs())
    assert float(many.planned_cost_eur) == pytest.approx(float(one.planned_cost_eur), abs=allowed)
    assert float(many.bound_eur) <= float(one.planned_cost_eur) + 1e-6


def test_a_large_fleet_is_planned_with_a_proved_gap_and_no_overload() -> None:
    params, episode = large(760)
    found = foresight(params, episode)
    assert float(found.mip_gap) <= EFFORT.gap
    assert float(found.bound_eur) <= float(found.cost_eur) + 1e-6
    assert float(found.trace.outcomes.flow.loading.amax()) < 1.01
    assert float(found.trace.outcomes.unmet_kwh.sum()) == pytest.approx(0.0, abs=1e-6)


def test_time_that_is_over_is_flagged(params: Params, episode: Episode) -> None:
    many = DecomposedPlanner(replace(EFFORT, gap=0.0, gap_eur=0.0, seconds=0.0))
    found = foresight(params, episode, planner=many)
    assert many.rounds == 1
    assert torch.isfinite(found.cost_eur).all() and bool((found.cost_eur >= found.bound_eur - 1e-6).all())
