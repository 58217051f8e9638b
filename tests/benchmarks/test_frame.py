"""The frame of the benchmarks: verdicts, the table, the file and the exit status."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import __main__ as program
from benchmarks.figures import Figure, cpu_seconds, wall_seconds
from totalflex_env.errors import PhysicsError

FAST = Figure("solve_s:small", 0.5, "s", "lower", 1.0, rival=5.0, rival_name="other")
SLOW = Figure("rate_per_s:small", 10.0, "1/s", "higher", 20.0)


def planted(monkeypatch: pytest.MonkeyPatch, *figures: Figure) -> None:
    def measure(full: bool) -> Iterator[Figure]:
        yield from figures

    monkeypatch.setattr(program.importlib, "import_module", lambda name: SimpleNamespace(figures=measure))


def test_ratio_says_how_many_times_better_ours_is() -> None:
    assert FAST.ratio == 10.0
    assert Figure("rate", 30.0, "1/s", "higher", 1.0, rival=10.0, rival_name="other").ratio == 3.0
    assert SLOW.ratio is None


@pytest.mark.parametrize("ours, better, reached", [(1.0, "lower", True), (1.1, "lower", False), (0.9, "higher", False)])
def test_verdict_counts_the_target_itself_as_reached(ours: float, better: str, reached: bool) -> None:
    assert Figure("x", ours, "s", better, 1.0).reached is reached  # type: ignore[arg-type]


def test_figure_that_is_not_a_number_is_an_error() -> None:
    with pytest.raises(PhysicsError, match="x: nan"):
        Figure("x", float("nan"), "s", "lower", 1.0)


def test_program_writes_the_file_and_exits_with_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    planted(monkeypatch, FAST)
    assert program.main(["flexoffer", "--json", str(tmp_path / "out.json")]) == 0
    written = json.loads((tmp_path / "out.json").read_text())
    assert set(written) == {"machine", "versions", "revision", "figures"}
    assert written["figures"][0] == vars(FAST) | {"ratio": 10.0, "reached": True}
    assert list(tmp_path.iterdir()) == [tmp_path / "out.json"]
    assert "solve_s:small" in capsys.readouterr().out


def test_missed_target_exits_with_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    planted(monkeypatch, FAST, SLOW)
    assert program.main(["flexoffer"]) == 1
    assert "MISSED" in capsys.readouterr().out


def test_folder_that_does_not_exist_is_said_before_measuring(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(["flexoffer", "--json", str(tmp_path / "none" / "out.json")]) == 2
    assert "--json" in capsys.readouterr().err


def test_unknown_name_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        program.main(["flexofer"])
    assert "flexoffer" in capsys.readouterr().err


def test_every_name_has_its_file() -> None:
    folder = Path(program.__file__).parent
    named = {path.stem for path in folder.glob("*.py") if "def figures(full: bool)" in path.read_text(encoding="utf-8")}
    assert named == set(program.NAMES)


def test_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(name: str) -> None:
        raise ModuleNotFoundError("No module named 'lightsim2grid'", name="lightsim2grid")

    monkeypatch.setattr(program.importlib, "import_module", fail)
    assert program.main(["flexoffer"]) == 2
    assert 'pip install "totalflex[bench]"' in capsys.readouterr().err


def test_clocks_take_the_median_after_a_warm_up() -> None:
    calls: list[int] = []
    assert wall_seconds(lambda: calls.append(1), repeats=3) >= 0.0
    assert len(calls) == 4
    assert cpu_seconds(lambda: sum(range(200_000)), repeats=3) > 0.0
