"""A street with every kind of device: stepped, forecast, bid for and observed."""

from __future__ import annotations

import pytest
import torch

from totalflex_env import batch, fleet
from totalflex_env.config import DevicesConfig, EnvConfig
from totalflex_env.config_files import load
from totalflex_env.engine.build import World, build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.observe import observe
from totalflex_env.engine.roles import ScriptedPolicy
from totalflex_env.engine.step import decide, realise, situation, start

COUNTS = [f"--devices.{name}.count=2" for name, settings in DevicesConfig() if hasattr(settings, "family")]


@pytest.fixture(scope="module")
def world() -> World:
    return build(load(EnvConfig, "street", "env", [*COUNTS, "--devices.pv.power_factor=0.95"]))


def test_every_kind_is_there(world: World) -> None:
    assert len(set(world.params.kinds)) == len(COUNTS)
    assert len(world.params.families) == len({type(family) for family in world.params.families}) == 5


def test_a_day_of_two_rows_is_that_of_each_alone(world: World) -> None:
    params, episode = world.params, draw(world, [3, 4])
    alone = batch.take_rows(episode, torch.tensor([1]))
    states, policy = [start(params, each) for each in (episode, alone)], ScriptedPolicy()
    for slot in range(96):
        costs = []
        for index, each in enumerate((episode, alone)):
            now = situation(params, each, states[index])
            if slot % 32 == 0:
                known = now.forecast().scenario
                assert fleet.guards(params, known) is not None
                assert all(bool(part.isfinite().all()) for part in vars(observe(now)).values())
            states[index], outcome = realise(params, each, states[index], decide(now, policy.act(now)))
            costs.append(outcome.costs.total())
        torch.testing.assert_close(costs[0][1:], costs[1], rtol=0.0, atol=1e-6)


def test_the_forecast_of_the_first_slot_is_the_expectation_where_nothing_is_known(world: World) -> None:
    episode = nominate(world.params, draw(world, [5]), ScriptedPolicy())
    known = situation(world.params, episode, start(world.params, episode)).forecast().scenario
    zone = fleet.find(world.params, type(world.params.families[4]))
    assert zone is not None
    guess, expected = (each.habits[zone.index] for each in (known, episode.expected))
    assert torch.equal(guess.lower[:, 1:], expected.lower[:, 1:])
    assert torch.equal(guess.gain_kwh[:, 1:], expected.gain_kwh[:, 1:])
