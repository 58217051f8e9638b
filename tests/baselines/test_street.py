"""The baselines on a real low-voltage grid."""

from __future__ import annotations

import pytest
import torch

from baselines import catalog
from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.engine.build import World, build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.rollout import Trace, rollout
from totalflex_env.types import Episode


@pytest.fixture(scope="module")
def street() -> World:
    return build(load(EnvConfig, "street", "env"))


def run(world: World, episode: Episode, name: str) -> Trace:
    policy = catalog.make(name)
    return rollout(world.params, nominate(world.params, episode, policy), policy)


def test_replay_and_bound_hold_and_prices_alone_overload_the_transformer(street: World) -> None:
    episode = draw(street, range(700, 702))
    plan = catalog.foresight(street.params, episode)
    default = run(street, episode, "default_schedule").cost()
    assert float(((plan.cost_eur - plan.planned_cost_eur).abs() / (default - plan.cost_eur)).max()) < 0.02
    greedy = run(street, episode, "price_greedy")
    for cost in (plan.cost_eur, default, greedy.cost(), run(street, episode, "timer").cost()):
        assert bool((cost >= plan.bound_eur - 1e-6).all())
    assert bool((greedy.outcomes.overload_kvah.sum(dim=1) > 0.0).all())
    assert float(plan.trace.outcomes.flow.loading.amax()) < 1.01


@pytest.mark.slow
def test_the_rolling_horizon_scores_nine_tenths_of_foresight(street: World) -> None:
    episode = draw(street, range(700, 716))
    default, best = run(street, episode, "default_schedule").cost(), catalog.foresight(street.params, episode)
    cost = run(street, episode, "rolling_milp").cost()
    assert float((default - cost).sum() / (default - best.cost_eur).sum()) >= 0.90
    assert bool(torch.all(cost >= best.bound_eur - 1e-6))
