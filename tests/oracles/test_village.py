"""What `village` promises: a grid that is scarce when devices follow the price alone, and a sun that feeds into it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from baselines.catalog import make
from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.engine.build import World, build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.rollout import Trace, rollout
from totalflex_env.scenario import uncertainty
from totalflex_env.units import SLOTS_PER_HOUR

DAYS = 60
SUMMER = "--scenario.months=[5, 6, 7, 8]"


@pytest.fixture(scope="module")
def world() -> World:
    return build(load(EnvConfig, "village", "env", ["--scenario.split=test"]))


def run(world: World, name: str, days: int = DAYS) -> Trace:
    policy = make(name)
    episode = nominate(world.params, draw(world, range(5000, 5000 + days)), policy)
    return rollout(world.params, episode, policy)


def overloaded(world: World, trace: Trace) -> Tensor:
    """On which days [B] bool the transformer exceeds its rating."""
    transformers = [i for i, (kind, _) in enumerate(world.params.grid.elements) if kind == "trafo"]
    assert bool(trace.outcomes.flow.converged.all())
    return trace.outcomes.flow.loading[..., transformers].amax(dim=(1, 2)) > 1.0


def test_default_schedules_overload_the_transformer_on_some_days(world: World) -> None:
    share = float(overloaded(world, run(world, "default_schedule")).double().mean())
    assert 0.05 <= share <= 0.20


def test_price_greedy_devices_overload_the_transformer_on_most_days(world: World) -> None:
    assert float(overloaded(world, run(world, "price_greedy")).double().mean()) >= 0.80


def test_a_timer_never_overloads_the_transformer(world: World) -> None:
    """The devices fit, if they do not all run at once."""
    assert not bool(overloaded(world, run(world, "timer", days=20)).any())


def test_the_sun_feeds_into_the_grid_at_midday_in_summer() -> None:
    """Between 10:00 and 14:00, the two hours around the noon at which an episode begins and ends."""
    world = build(load(EnvConfig, "village", "env", [SUMMER]))
    outcomes = run(world, "default_schedule", days=20).outcomes
    episode = draw(world, range(5000, 5020))
    houses_kw = (outcomes.net_kwh + episode.actual.wind_kwh) * SLOTS_PER_HOUR
    around = 2 * SLOTS_PER_HOUR
    midday = torch.cat([houses_kw[:, :around], houses_kw[:, -around:]], dim=1).amin(dim=1)
    assert float((midday < -50.0).double().mean()) >= 0.80
    assert float(midday.mean()) < -100.0


def test_its_errors_are_pinned_and_no_smaller_than_those_of_forecasters(world: World) -> None:
    errors, prices = world.params.config.forecast, world.params.config.prices
    assert errors.load.deviation >= uncertainty.LOAD_DAY_AHEAD
    assert errors.pv.deviation >= uncertainty.SOLAR_DAY_AHEAD
    assert errors.wind.deviation >= uncertainty.WIND_DAY_AHEAD
    assert errors.temperature.deviation >= uncertainty.TEMPERATURE_DAY_AHEAD
    assert (prices.era, prices.up_share, prices.down_share, prices.spread_mean) == ("hourly", 0.22, 0.35, 44.0)
