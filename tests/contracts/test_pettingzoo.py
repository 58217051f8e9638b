"""PettingZoo's own checkers on the registered environments, and what they leave out: a whole episode."""

from __future__ import annotations

import numpy as np
import pytest
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test

from totalflex_env.envs.parallel import TotalFlexParallelEnv, env, parallel_env

NAMES = ("tiny", "house", "street")


def actions_of(env: TotalFlexParallelEnv, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """One random action for every agent, a little outside the bounds now and then."""
    return {name: generator.uniform(-1.1, 1.1, env.action_space(name).shape).astype(np.float32) for name in env.agents}


@pytest.mark.parametrize("name", NAMES)
def test_the_parallel_api(name: str) -> None:
    parallel_api_test(parallel_env(name), num_cycles=200)


@pytest.mark.parametrize("name", NAMES)
def test_the_seeds(name: str) -> None:
    parallel_seed_test(lambda: parallel_env(name))


# Roles see different things, so their observations differ in size; PettingZoo remarks on that and on nothing else.
@pytest.mark.filterwarnings("ignore:Observations are different shapes:UserWarning")
@pytest.mark.filterwarnings("ignore:Agents have different observation space sizes:UserWarning")
def test_the_turn_based_api() -> None:
    api_test(env("tiny"), num_cycles=20)


@pytest.mark.parametrize("name", ["tiny", "street"])
def test_a_whole_episode_follows_from_its_seed(name: str) -> None:
    """The same in another environment, and in the same one after another episode."""
    first, second = parallel_env(name), parallel_env(name)
    once = episode(first, seed=7)
    episode(first, seed=8)
    np.testing.assert_equal(episode(first, seed=7), once)
    np.testing.assert_equal(episode(second, seed=7), once)


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


def test_an_episode_ends_by_truncation_alone_and_shows_its_end() -> None:
    tiny = parallel_env("tiny")
    slots = episode(tiny, seed=0)
    assert len(slots) == 4
    for number, (observations, rewards, terminations, truncations, infos) in enumerate(slots):
        assert not any(terminations.values())
        assert set(truncations.values()) == {number == 3}
        for part in (observations, rewards, terminations, truncations, infos):
            assert list(part) == tiny.possible_agents
    assert tiny.agents == []


@pytest.mark.parametrize("name", NAMES)
def test_the_money_of_all_roles_is_minus_the_system_cost(name: str) -> None:
    """Bookings are whole micro-EUR, a few for each house."""
    for _, rewards, _, _, infos in episode(parallel_env(name), seed=1):
        assert sum(rewards.values()) == pytest.approx(-infos["aggregator_0"]["cost_eur"], abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_observations_stay_inside_their_spaces_and_mean_something(name: str) -> None:
    environment = parallel_env(name)
    for observations, *_ in episode(environment, seed=2):
        for agent, seen in observations.items():
            assert environment.observation_space(agent).contains(seen), agent
            assert seen.any(), agent


def episode(env: TotalFlexParallelEnv, seed: int) -> list[tuple[dict, dict, dict, dict, dict]]:
    """What each slot of an episode returned under random actions that follow from the seed."""
    env.reset(seed=seed)
    generator = np.random.default_rng(seed)
    slots = []
    while env.agents:
        slots.append(env.step(actions_of(env, generator)))
    return slots
