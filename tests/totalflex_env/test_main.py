"""The `totalflex` command."""

from __future__ import annotations

import pytest

import totalflex_env
from totalflex_env import __main__ as command
from totalflex_env import config_files


def test_it_knows_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"totalflex {totalflex_env.__version__}\n"


def test_it_lists_every_registered_environment(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["envs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == config_files.names("env")
    assert "two houses; 4 slots of 15 minutes" in next(line for line in lines if line.startswith("tiny"))
