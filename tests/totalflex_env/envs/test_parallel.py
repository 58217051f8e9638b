from __future__ import annotations

import numpy as np
import pytest
from gymnasium.error import ResetNeeded

import totalflex_env
from totalflex_env import config_files
from totalflex_env.config import EnvConfig
from totalflex_env.envs.names import agent
from totalflex_env.envs.parallel import TotalFlexParallelEnv, parallel_env
from totalflex_env.envs.spaces import rule
from totalflex_env.errors import ConfigError, DataError


@pytest.fixture
def tiny() -> TotalFlexParallelEnv:
    return parallel_env("tiny")


def still(env: TotalFlexParallelEnv) -> dict[str, np.ndarray]:
    return {name: rule(agent(name).role) for name in env.agents}


def test_the_package_offers_both_interfaces() -> None:
    assert totalflex_env.parallel_env is parallel_env
    assert totalflex_env.env("tiny").possible_agents == parallel_env("tiny").possible_agents


def test_only_learners_are_agents(tiny: TotalFlexParallelEnv) -> None:
    assert tiny.possible_agents == ["prosumer_0", "prosumer_1", "aggregator_0", "brp_0", "dso_0"]
    config = config_files.load(EnvConfig, "tiny", "env", ["--learners=[dso, aggregator]"])
    assert parallel_env(config).possible_agents == ["aggregator_0", "dso_0"]


def test_an_environment_without_learners_is_refused() -> None:
    with pytest.raises(ConfigError, match="learners"):
        parallel_env(config_files.load(EnvConfig, "tiny", "env", ["--learners=[]"]))


def test_doing_nothing_is_the_same_whether_a_role_learns_or_is_scripted(tiny: TotalFlexParallelEnv) -> None:
    alone = parallel_env(config_files.load(EnvConfig, "tiny", "env", ["--learners=[aggregator]"]))
    tiny.reset(seed=0)
    alone.reset(seed=0)
    while tiny.agents:
        everybody, single = tiny.step(still(tiny)), alone.step(still(alone))
        assert everybody[1]["aggregator_0"] == single[1]["aggregator_0"]
        assert everybody[4]["aggregator_0"] == single[4]["aggregator_0"]


def test_an_action_outside_the_bounds_acts_as_the_bound_and_is_counted(tiny: TotalFlexParallelEnv) -> None:
    results = []
    for size in (1.0, 5.0):
        tiny.reset(seed=0)
        actions = still(tiny)
        actions["aggregator_0"][:3] = size
        results.append(tiny.step(actions))
    inside, outside = results
    assert inside[1] == outside[1]
    assert inside[4]["aggregator_0"]["action_clipped"] == 0
    assert outside[4]["aggregator_0"]["action_clipped"] == 3
    assert outside[4]["brp_0"]["action_clipped"] == 0


def test_an_action_that_is_no_number_is_refused_by_name(tiny: TotalFlexParallelEnv) -> None:
    tiny.reset(seed=0)
    actions = still(tiny)
    actions["prosumer_1"][1] = np.nan
    with pytest.raises(DataError, match=r"prosumer_1\.markup"):
        tiny.step(actions)


def test_a_step_outside_an_episode_asks_for_a_reset(tiny: TotalFlexParallelEnv) -> None:
    with pytest.raises(ResetNeeded):
        tiny.step({})
    tiny.reset(seed=0)
    while tiny.agents:
        tiny.step(still(tiny))
    with pytest.raises(ResetNeeded):
        tiny.step({})


def test_the_state_of_central_critics_holds_what_every_role_sees() -> None:
    alone = parallel_env(config_files.load(EnvConfig, "tiny", "env", ["--learners=[dso]"]))
    seen, _ = alone.reset(seed=0)
    assert alone.state_space.contains(alone.state())
    np.testing.assert_array_equal(alone.state()[-len(seen["dso_0"]) :], seen["dso_0"])
    everybody = parallel_env("tiny")
    everything, _ = everybody.reset(seed=0)
    np.testing.assert_array_equal(alone.state(), np.concatenate(list(everything.values())))


def test_rendering_is_a_line_of_text() -> None:
    shown = parallel_env("tiny", render_mode="ansi")
    shown.reset(seed=0)
    assert "0" in (shown.render() or "")
    shown.step(still(shown))
    assert (shown.render() or "").startswith("slot 0: cost_eur")
    assert parallel_env("tiny").render() is None
    with pytest.raises(ConfigError, match="hologram"):
        parallel_env("tiny", render_mode="hologram")
