"""Baselines and programs on days on which houses and devices are missing."""

from __future__ import annotations

import pytest
import torch

from baselines import catalog
from totalflex_env import config_files
from totalflex_env.config import EnvConfig
from totalflex_env.engine.build import World, build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.rollout import rollout
from totalflex_env.types import Episode, Population

SOME = ["--population.houses=[0.0, 1.0]", "--population.devices=[0.5, 1.0]"]
Drawn = tuple[World, Episode, Population, torch.Tensor]


@pytest.fixture(scope="module")
def days() -> Drawn:
    """Days of the tiny world with nobody, one or two houses, and the bound on the cost of each, EUR."""
    world = build(config_files.load(EnvConfig, "tiny", "env", SOME))
    episode = draw(world, range(8))
    who = episode.actual.population
    assert who is not None and set(who.houses.sum(dim=1).tolist()) == {0, 1, 2}
    return world, episode, who, catalog.foresight(world.params, episode).bound_eur


@pytest.mark.parametrize("name", list(catalog.POLICIES))
def test_every_baseline_leaves_alone_what_is_not_there(name: str, days: Drawn) -> None:
    """And none of them is cheaper than the program that knows the day and who is there."""
    world, episode, who, bound = days
    policy = catalog.make(name)
    outcomes = rollout(world.params, nominate(world.params, episode, policy), policy).outcomes
    missing = (~who.devices)[:, None].expand_as(outcomes.energy_kwh)
    assert missing.any() and not outcomes.energy_kwh[missing].any()
    cost = outcomes.costs.total().sum(dim=1)
    assert bool((cost >= bound - 1e-9).all())
    assert float(outcomes.energy_kwh.abs().sum()) > 0.0


def test_the_program_of_a_day_is_that_of_the_devices_that_are_there(days: Drawn) -> None:
    """The plan moves nobody else, and its replay costs what was planned; with nobody there is nothing to plan."""
    world, episode, who, bound = days
    plan = catalog.foresight(world.params, episode)
    assert not plan.energy_kwh[(~who.devices)[:, None].expand_as(plan.energy_kwh)].any()
    torch.testing.assert_close(plan.cost_eur, plan.planned_cost_eur, rtol=0.0, atol=1e-6)
    nobody = ~who.houses.any(dim=1)
    day = episode.actual
    needed = (day.base_kwh - day.pv_kwh).sum(dim=2) - day.wind_kwh
    torch.testing.assert_close(bound[nobody], (day.spot * needed).sum(dim=1)[nobody], rtol=0.0, atol=1e-6)
