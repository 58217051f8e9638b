"""A recorded episode is a file that the engine and an optimiser understand later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from baselines import catalog
from totalflex_env.engine.build import build
from totalflex_env.envs import replay
from totalflex_env.envs.parallel import parallel_env
from totalflex_env.errors import DataError


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny day of random actions."""
    path, tiny = tmp_path_factory.mktemp("replay") / "day.npz", parallel_env("tiny")
    recorder, generator = replay.Recorder(tiny.batch), np.random.default_rng(3)
    tiny.reset(seed=3)
    while tiny.agents:
        tiny.step({name: generator.uniform(-1.0, 1.0, tiny.action_space(name).shape) for name in tiny.agents})
    replay.save(recorder.recording(), path)
    return path


def test_what_is_read_is_what_was_written_and_the_engine_does_it_again(file: Path) -> None:
    recording = replay.load(file)
    assert (recording.config.name, recording.seeds, len(recording.actions)) == ("tiny", (3,), 4)
    trace = recording.again()
    torch.testing.assert_close(trace.outcomes.costs.total(), recording.cost_eur, rtol=0.0, atol=1e-9)
    torch.testing.assert_close(trace.outcomes.energy_kwh, recording.energy_kwh, rtol=0.0, atol=1e-9)
    torch.testing.assert_close(trace.net_kwh, recording.net_kwh, rtol=0.0, atol=1e-9)


def test_the_optimum_of_a_recorded_day_can_be_computed_later(file: Path) -> None:
    recording = replay.load(file)
    world = build(recording.config)
    found = catalog.foresight(world.params, recording.episode(world))
    assert (found.bound_eur <= recording.cost_eur.sum(dim=1) + 1e-6).all()


def test_a_day_that_the_seeds_do_not_draw_any_more_is_refused(file: Path) -> None:
    other = replace(replay.load(file), drawn="0" * 64)
    with pytest.raises(DataError, match="unchanged data"):
        other.again()


def test_what_is_no_recording_is_refused(tmp_path: Path, file: Path) -> None:
    with pytest.raises(DataError, match="replay"):
        replay.load(tmp_path / "nothing.npz")
    broken = tmp_path / "broken.npz"
    broken.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DataError, match="recording"):
        replay.load(broken)
    with pytest.raises(DataError, match="at least one step"):
        replay.Recorder(parallel_env("tiny").batch).recording()
