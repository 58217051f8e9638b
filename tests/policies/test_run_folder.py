"""The folder of a run: unfinished apart, finished in one move, resumed only as what it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.config import TrainConfig
from policies.run_folder import CurvePoint, RunFolder, read_curve, write_curve
from totalflex_env.errors import ConfigError, DataError


def config(folder: Path, seed: int = 0, limit: float = 10.0) -> TrainConfig:
    return TrainConfig(name="quick", env="tiny", seed=seed, time_limit_s=limit, out=folder / "quick")


def test_a_finished_run_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "quick")
    for text in ("first", "second"):
        run.start(config(tmp_path))
        (run.partial / "result").write_text(text)
        assert not run.final.exists() or (run.final / "result").read_text() == "first"
        run.finish()
        assert (run.final / "result").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["quick"]


def test_starting_anew_removes_what_an_unfinished_run_left(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "quick")
    run.start(config(tmp_path))
    run.state.write_text("old")
    run.start(config(tmp_path))
    assert not run.state.exists()


def test_there_must_be_something_to_resume(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"quick\.partial: state = \(nothing\): expected an unfinished run"):
        RunFolder(tmp_path / "quick").resume(config(tmp_path))


def test_only_the_length_of_a_training_may_change_on_resuming(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "quick")
    run.start(config(tmp_path))
    run.state.write_text("state")
    run.resume(config(tmp_path, limit=20.0))
    with pytest.raises(ConfigError, match="seed = 0: expected 1 as in this run, or train anew"):
        run.resume(config(tmp_path, seed=1))


def test_a_learning_curve_comes_back(tmp_path: Path) -> None:
    curve = [CurvePoint(0.125, 0, 20.5), CurvePoint(10.0, 96, 19.25)]
    write_curve(tmp_path, curve)
    assert read_curve(tmp_path) == curve
    assert read_curve(tmp_path / "elsewhere") == []


def test_a_broken_learning_curve_is_refused(tmp_path: Path) -> None:
    (tmp_path / "learning_curve.csv").write_text("seconds,steps,validation_cost_eur\n1.0,many,2.0\n")
    with pytest.raises(DataError, match=r"learning_curve\.csv: row"):
        read_curve(tmp_path)
