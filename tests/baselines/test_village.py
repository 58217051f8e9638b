"""The optimisers on a grid that is scarce: they can be trusted, and the grid has a price."""

from __future__ import annotations

from dataclasses import replace

import pytest

from baselines import catalog
from baselines.foresight import ForesightPlan
from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.engine.build import World, build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.rollout import Trace, rollout
from totalflex_env.types import Episode, Params

SECONDS_A_DAY = 60.0
"""Of the solver with perfect foresight, on one core."""


@pytest.fixture(scope="module")
def village() -> World:
    return build(load(EnvConfig, "village", "env"))


def run(world: World, episode: Episode, name: str) -> Trace:
    policy = catalog.make(name)
    return rollout(world.params, nominate(world.params, episode, policy), policy)


def without_limits(params: Params) -> Params:
    """The same world in which an overload costs nothing."""
    market = params.config.market.model_copy(update={"overload_price": 0.0})
    return replace(params, config=params.config.model_copy(update={"market": market}))


def test_the_optimum_can_be_found_and_replayed(village: World) -> None:
    episode = draw(village, range(700, 701))
    plan = catalog.foresight(village.params, episode)
    default = run(village, episode, "default_schedule").cost()
    assert float(((plan.cost_eur - plan.planned_cost_eur).abs() / (default - plan.cost_eur)).max()) < 0.02
    for cost in (plan.cost_eur, default, run(village, episode, "price_greedy").cost()):
        assert bool((cost >= plan.bound_eur - 1e-6).all())
    assert float(plan.trace.outcomes.flow.loading.amax()) < 1.01


@pytest.fixture(scope="module")
def days(village: World) -> Episode:
    """Few days, since the rolling optimiser takes more than a minute for each."""
    return draw(village, range(700, 705))


@pytest.fixture(scope="module")
def best(village: World, days: Episode) -> ForesightPlan:
    return catalog.foresight(village.params, days)


@pytest.mark.slow
def test_the_grid_has_a_price(village: World, days: Episode, best: ForesightPlan) -> None:
    """Without limits, the best plan would save at least one per cent more: places differ in what energy costs there."""
    assert float(best.seconds.max()) < SECONDS_A_DAY
    default = run(village, days, "default_schedule").cost()
    free = catalog.foresight(without_limits(village.params), days).cost_eur
    assert float((best.cost_eur - free).sum() / (default - best.cost_eur).sum()) >= 0.01


@pytest.mark.slow
def test_the_rolling_horizon_comes_close_to_foresight(village: World, days: Episode, best: ForesightPlan) -> None:
    default, cost = (run(village, days, name).cost() for name in ("default_schedule", "rolling_milp"))
    assert float((default - cost).sum() / (default - best.cost_eur).sum()) >= 0.85
    assert bool((cost >= best.bound_eur - 1e-6).all())
