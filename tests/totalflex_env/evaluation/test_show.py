"""`totalflex show`: what is printed, what is drawn, and one line for every mistake."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import totalflex_env
from totalflex_env import __main__ as command
from totalflex_env import config_files
from totalflex_env.config import EnvConfig
from totalflex_env.evaluation.labels import counted


def test_a_day_is_printed_and_drawn(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command.main(["show", "tiny", "--out", str(tmp_path / "day.svg"), "--seed", "3"]) == 0
    out = capsys.readouterr().out
    assert "tiny: 2 houses with 2 devices, 4 quarter-hours from 12:00, seed 3" in out
    assert "vehicles" in out and "dishwashers" in out and "system cost of the day" in out
    drawn = (tmp_path / "day.svg").read_text()
    assert "<svg" in drawn and len(drawn) > 10_000
    command.main(["show", "tiny", "--out", str(tmp_path / "again.svg"), "--seed", "3"])
    assert (tmp_path / "again.svg").read_text() == drawn


def test_a_path_and_overrides_are_taken(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(config_files.dump(config_files.load(EnvConfig, "tiny", "env")).replace("name: tiny", "name: mine"))
    assert command.main(["show", str(path), "--devices.dishwasher.count=0"]) == 0
    assert "mine: 2 houses with 1 device," in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "configs/env: name = nowhere"),
        (["./nowhere.yaml"], "nowhere.yaml: file"),
        (["tiny", "--out", "day.txt"], "out = day.txt: expected a file name that ends in .png, .svg, .pdf"),
        (["tiny", "--out", "no/such/folder/day.png"], "out = no/such/folder/day.png"),
        (["tiny", "--seed", "-1"], "seed = -1: expected a whole number"),
        (["tiny", "--seed", "two"], "seed = two: expected a whole number"),
        (["tiny", "--devices.toaster.count=1"], "devices.toaster"),
        (["tiny", "--fill", "zeros"], "recorded.fill = zeros: expected 'none', 'previous', 'interpolate' or 'drop'"),
    ],
)
def test_a_mistake_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], told: str) -> None:
    assert command.main(["show", *arguments]) == 2
    errors = capsys.readouterr().err
    assert told in errors and errors.count("\n") == 1 and errors.startswith("error: ")


def test_without_a_screen(tmp_path: Path) -> None:
    path = tmp_path / "day.png"
    run = [sys.executable, "-m", "totalflex_env", "show", "tiny", "--out", str(path)]
    subprocess.run(
        run, check=True, env={name: value for name, value in os.environ.items() if name != "DISPLAY"}, timeout=300
    )
    assert path.read_bytes().startswith(b"\x89PNG")


def test_it_is_there_in_python_too(capsys: pytest.CaptureFixture[str]) -> None:
    totalflex_env.show_day("tiny", out=None)
    assert "tiny: 2 houses" in capsys.readouterr().out


def test_devices_are_called_by_their_names() -> None:
    assert counted("ev", 1) == "1 vehicle" and counted("battery", 2) == "2 batteries"
    assert counted("heat-pump", 24) == "24 heat pumps"
