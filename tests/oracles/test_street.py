"""What `street` promises: calm under default schedules, overloaded when devices follow the price alone."""

from __future__ import annotations

import pytest

from baselines.catalog import make
from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.engine.build import World, build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.rollout import Trace, rollout
from totalflex_env.types import Episode

DAYS = 60


@pytest.fixture(scope="module")
def world() -> World:
    return build(load(EnvConfig, "street", "env", ["--scenario.split=test"]))


def run(world: World, episode: Episode, name: str) -> Trace:
    policy = make(name)
    return rollout(world.params, nominate(world.params, episode, policy), policy)


def overloaded_days(world: World, name: str) -> float:
    """Share of winter days on which the transformer exceeds its rating."""
    trace = run(world, draw(world, range(5000, 5000 + DAYS)), name)
    transformers = [i for i, (kind, _) in enumerate(world.params.grid.elements) if kind == "trafo"]
    assert bool(trace.outcomes.flow.converged.all())
    return float((trace.outcomes.flow.loading[..., transformers].amax(dim=(1, 2)) > 1.0).double().mean())


def test_default_schedules_overload_the_transformer_on_few_days(world: World) -> None:
    assert overloaded_days(world, "default_schedule") <= 0.10


def test_price_greedy_devices_overload_the_transformer_on_most_days(world: World) -> None:
    assert overloaded_days(world, "price_greedy") >= 0.80
