"""A frame per slot: the grid as a tree that does not cross itself, the day so far beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from totalflex_env import config_files
from totalflex_env.config import EnvConfig
from totalflex_env.engine.build import build
from totalflex_env.engine.roles import ScriptedPolicy
from totalflex_env.envs.film import film
from totalflex_env.envs.parallel import TotalFlexParallelEnv, parallel_env
from totalflex_env.envs.picture import layout
from totalflex_env.errors import ConfigError


def step(env: TotalFlexParallelEnv) -> None:
    env.step({name: np.zeros(env.action_space(name).shape, np.float32) for name in env.agents})


def test_every_element_leads_one_step_away_from_the_slack_and_branches_do_not_cross() -> None:
    world = build(config_files.load(EnvConfig, "street", "env"))
    places, ends = layout(world.params.grid)
    np.testing.assert_allclose(ends[:, 1, 0] - ends[:, 0, 0], 1.0)
    assert len(np.unique(places, axis=0)) == len(places)
    for first, (start, end) in enumerate(ends):
        for other_start, other_end in ends[first + 1 :]:
            if start[0] == other_start[0] and not np.array_equal(start, other_start):
                assert (start[1] - other_start[1]) * (end[1] - other_end[1]) > 0


def test_a_frame_per_slot_that_grows() -> None:
    shown = parallel_env("tiny", render_mode="rgb_array")
    shown.reset(seed=0)
    begin = shown.render()
    step(shown)
    first = shown.render()
    step(shown)
    second = shown.render()
    assert isinstance(begin, np.ndarray) and isinstance(first, np.ndarray) and isinstance(second, np.ndarray)
    assert (first.shape, first.dtype) == ((540, 960, 3), np.uint8)
    assert (begin != first).any() and (first != second).any()
    shown.reset(seed=0)
    np.testing.assert_array_equal(shown.render(), begin)


def test_a_window_is_opened_and_closed() -> None:
    shown = parallel_env("tiny", render_mode="human")
    shown.reset(seed=0)
    step(shown)
    step(shown)
    assert shown.render() is None
    shown.close()
    shown.close()


def test_a_day_is_a_film(tmp_path: Path) -> None:
    world = build(config_files.load(EnvConfig, "tiny", "env"))
    film(world, ScriptedPolicy(), 0, tmp_path / "day.gif")
    with Image.open(tmp_path / "day.gif") as moving:
        assert (moving.n_frames, moving.size) == (4, (960, 540))
    with pytest.raises(ConfigError, match=r"\.gif"):
        film(world, ScriptedPolicy(), 0, tmp_path / "day.mp4")
