"""A simulator of few rows plays recordings, and what it plays is what the engine computes."""

from __future__ import annotations

import pytest
import torch

from totalflex_env import batch
from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.engine import observe, roles, step
from totalflex_env.engine.simulator import FEW_ROWS, Simulator
from totalflex_env.envs import worlds

TOLERANCE = 1e-9
SOME = ["--population.devices=[0.3, 0.9]", "--population.houses=[0.3, 1.0]"]
NOBODY = ["--population.houses=[0, 0]"]


def controls(simulator: Simulator, rows: int, slot: int) -> roles.Controls:
    """Return random controls of all roles."""
    generator = torch.Generator().manual_seed(slot)
    return batch.map_tensors(
        roles.neutral(simulator.world.params, rows),
        lambda like: torch.rand(like.shape, generator=generator, dtype=like.dtype) * 2.0 - 1.0,
    )


@pytest.mark.parametrize(
    ("name", "rows", "population"), [("house", 3, []), ("street", 1, []), ("house", 2, SOME), ("house", 1, NOBODY)]
)
def test_days_are_played_as_the_engine_computes_them(name: str, rows: int, population: list[str]) -> None:
    simulator = worlds.make_simulator(load(EnvConfig, name, "env", population), torch.float64)
    params = simulator.world.params
    for day in range(2):
        simulator.reset(range(10 * day, 10 * day + rows))
        episode, state = simulator.episode, simulator.state
        while not simulator.done:
            assert batch.equal(simulator.state, state, TOLERANCE)
            now, acting = step.situation(params, episode, state), controls(simulator, rows, state.slot)
            assert batch.equal(simulator.observe(simulator.situation()), observe.observe(now), TOLERANCE)
            action = roles.action(now, acting)
            assert batch.equal(simulator.action(simulator.situation(), acting), action, TOLERANCE)
            state, decision, outcome = step.step(episode, now, action)
            played = simulator.step(action)
            assert batch.equal(played[0], decision, TOLERANCE)
            assert batch.equal(played[1].rewards, outcome.rewards, TOLERANCE)
            assert batch.equal(played[1].flow, outcome.flow, TOLERANCE)
            assert batch.equal(played[1].ledger, outcome.ledger)
    assert all(tape.played and not tape.failures for tape in (simulator.tell, *simulator.tapes.values()))


@pytest.mark.parametrize("name", ["house", "street", "village", "office_industry"])
def test_every_function_of_a_slot_is_recorded(name: str) -> None:
    simulator = worlds.make_simulator(name, torch.float64)
    simulator.reset([1])
    for slot in range(6):
        simulator.observe(simulator.situation())
        simulator.step(simulator.action(simulator.situation(), controls(simulator, 1, slot)))
    for tape in (simulator.tell, *simulator.tapes.values()):
        assert tape.played
        assert not tape.failures


def test_many_rows_are_not_played() -> None:
    simulator = worlds.make_simulator("house", torch.float64)
    simulator.reset(range(FEW_ROWS + 1))
    for slot in range(5):
        simulator.step(simulator.action(simulator.situation(), controls(simulator, FEW_ROWS + 1, slot)))
    assert not simulator.tell.played
