"""PettingZoo's own checkers on the registered environments, and what they leave out: a whole episode."""

from __future__ import annotations

import numpy as np
import pytest
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test

from totalflex_env.envs.parallel import TotalFlexParallelEnv, env, parallel_env

Slot = tuple[dict, dict, dict, dict, dict]
"""What a step returns: observations, rewards, terminations, truncations and infos, by agent."""


def episode(env: TotalFlexParallelEnv, seed: int) -> list[Slot]:
    """What each slot of an episode returned under random actions that follow from the seed, some out of bounds."""
    env.reset(seed=seed)
    generator = np.random.default_rng(seed)
    slots = []
    while env.agents:
        shapes = {name: env.action_space(name).shape for name in env.agents}
        slots.append(env.step({name: generator.uniform(-1.1, 1.1, shape) for name, shape in shapes.items()}))
    return slots


@pytest.fixture(scope="module", params=["tiny", "street"])
def played(request: pytest.FixtureRequest) -> tuple[TotalFlexParallelEnv, list[Slot]]:
    """An environment and the whole episode of seed 7 in it."""
    fresh = parallel_env(request.param)
    return fresh, episode(fresh, seed=7)


@pytest.mark.parametrize("name", ["tiny", "house", "street"])
def test_the_parallel_api(name: str) -> None:
    parallel_api_test(parallel_env(name), num_cycles=200)


@pytest.mark.parametrize("name", ["tiny", "street"])
def test_the_first_slot_follows_from_the_seed(name: str) -> None:
    parallel_seed_test(lambda: parallel_env(name))


# Roles see different things, so their observations differ in size; PettingZoo remarks on that and on nothing else.
@pytest.mark.filterwarnings("ignore:Observations are different shapes:UserWarning")
@pytest.mark.filterwarnings("ignore:Agents have different observation space sizes:UserWarning")
def test_the_turn_based_api() -> None:
    api_test(env("tiny"), num_cycles=20)


def test_the_whole_episode_follows_from_the_seed(played: tuple[TotalFlexParallelEnv, list[Slot]]) -> None:
    """Also in an environment that has seen other days."""
    fresh, slots = played
    used = parallel_env(fresh.config)
    used.reset(seed=8)
    used.step({name: used.action_space(name).high for name in used.agents})
    np.testing.assert_equal(episode(used, seed=7), slots)


def test_an_episode_ends_by_truncation_alone(played: tuple[TotalFlexParallelEnv, list[Slot]]) -> None:
    environment, slots = played
    last = environment.config.slots - 1
    assert len(slots) == last + 1
    assert environment.agents == []
    for number, slot in enumerate(slots):
        for part in slot:
            assert list(part) == environment.possible_agents
        _, _, terminations, truncations, _ = slot
        assert not any(terminations.values())
        assert set(truncations.values()) == {number == last}


def test_the_money_of_all_roles_is_minus_the_system_cost(played: tuple[TotalFlexParallelEnv, list[Slot]]) -> None:
    """Bookings are whole micro-EUR, a few for each house."""
    for _, rewards, _, _, infos in played[1]:
        assert sum(rewards.values()) == pytest.approx(-infos["aggregator_0"]["cost_eur"], abs=1e-4)


def test_observations_stay_inside_their_spaces(played: tuple[TotalFlexParallelEnv, list[Slot]]) -> None:
    environment, slots = played
    for observations, *_ in slots:
        for agent, seen in observations.items():
            assert environment.observation_space(agent).contains(seen), agent


def test_seeds_draw_different_days() -> None:
    street = parallel_env("street")
    days = [street.reset(seed=seed)[0]["aggregator_0"] for seed in (7, 8)]
    assert not np.array_equal(*days)


def test_without_a_seed_days_come_from_the_generator_that_the_last_seed_started() -> None:
    tiny = parallel_env("tiny")

    def seeds() -> list[float]:
        tiny.reset(seed=3)
        return [tiny.reset()[1]["dso_0"]["episode_seed"] for _ in range(3)]

    drawn = seeds()
    assert drawn == seeds()
    assert len({3, *drawn}) == 4
