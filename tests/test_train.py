"""train.py on `tiny`: what it writes, what it replaces, how it resumes, and how it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import train
from policies import checkpoint
from totalflex_env import config_files


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "quick.yaml"
    path.write_text(
        f"name: quick\nenv: tiny\nout: {tmp_path / 'runs' / 'quick'}\ntotal_steps: 200\n"
        "evolution: {pairs: 8, processes: 1}\nvalidation: {days: 4, every_s: 1.0e-3}\ncheckpoint_every_s: 1.0e-3\n"
    )
    return path


def curve(run: Path) -> list[dict[str, str]]:
    with (run / "training" / "learning_curve.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_finished_run_holds_policy_configuration_curve_and_events(config: Path, tmp_path: Path) -> None:
    assert train.main([str(config), "--evolution.deviation=0.5", "--seed", "3"]) == 0
    run = tmp_path / "runs" / "quick"
    assert not run.with_name("quick.partial").exists()
    policy, card = checkpoint.load(run / "policy")
    assert policy.actor.hidden == ()
    assert (card.name, card.provenance.seed, card.provenance.steps) == ("quick", 3, 256)
    assert card.provenance.config["evolution"]["deviation"] == 0.5
    resolved = config_files.load(train.TrainConfig, str(run / "training" / "config.yaml"), "train")
    assert card.provenance.config_hash == config_files.digest(resolved)
    points = curve(run)
    assert [int(point["steps"]) for point in points] == [0, 64, 128, 192, 256, 256]
    best = min(float(point["validation_cost_eur"]) for point in points)
    assert card.provenance.validation_cost_eur == best <= card.provenance.rule_cost_eur
    assert list((run / "training").glob("events.*"))


def test_training_again_replaces_the_run(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    for seed in ("1", "2"):
        assert train.main([str(config), "--seed", seed, "--out", str(other)]) == 0
    assert json.loads((other / "policy" / "policy.json").read_text())["provenance"]["seed"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "quick.yaml"]


def test_a_killed_run_is_resumed_where_it_was(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class KilledError(Exception):
        """Stands for the end of the process."""

    def kill(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", kill)
        with pytest.raises(KilledError):
            train.main([str(config)])
    run = tmp_path / "runs" / "quick"
    assert not run.exists()
    assert train.main([str(config), "--resume", "--total_steps=320"]) == 0
    assert [int(point["steps"]) for point in curve(run)][-3:] == [256, 320, 320]
    assert "320 steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--evolution.paris=8"],
            "error: command line: evolution.paris = 8: expected a known key, the nearest is 'pairs'",
        ),
        (["--env=stret"], "error: configs/env: name = stret: expected a path or one of"),
        (["--time_limit_s=-1"], "error: command line: time_limit_s = -1: expected greater than 0"),
        (["--resume"], "expected an unfinished run; train without --resume"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    assert train.main([str(config), *arguments]) == 2
    shown = capsys.readouterr().err
    assert line in shown and shown.count("\n") == 1
    assert not (tmp_path / "runs").exists()
