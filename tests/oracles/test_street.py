"""What `street` promises: scarce enough for price-only activation to overload it, calm under default schedules, and a
rolling-horizon optimiser that comes close to perfect foresight."""

from __future__ import annotations

import pytest
import torch

from baselines.catalog import foresight, make
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


@pytest.mark.slow
def test_rolling_horizon_optimiser_scores_at_least_90_percent_of_foresight(world: World) -> None:
    torch.set_num_threads(1)
    episode = draw(world, range(5000, 5010))
    default, rolling = (run(world, episode, name).cost().sum() for name in ("default_schedule", "rolling_milp"))
    best = foresight(world.params, episode).cost_eur.sum()
    assert float((default - rolling) / (default - best)) >= 0.90
