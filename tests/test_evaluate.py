"""evaluate.py on `tiny` with every baseline: the three files, the days asked for, and how it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

import evaluate
from baselines import catalog
from policies import checkpoint
from policies.checkpoint import CONTROLS, Provenance
from policies.network import make_actor
from totalflex_env.engine.observe import AGGREGATOR_FEATURES

BASELINES = [*catalog.POLICIES, "foresight_milp"]
KEYS = {
    "cost_eur", "score", "score_ci", "causal_score", "causal_score_ci", "overload_minutes", "voltage_minutes",
    "comfort_degree_hours", "unmet_kwh", "decision_seconds",
}  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration, and a policy folder that holds the scripted rule."""
    features = len(AGGREGATOR_FEATURES)
    actor = make_actor(torch.zeros(features), torch.ones(features), (), len(CONTROLS))
    provenance = Provenance(
        revision="abc",
        versions={},
        config={},
        config_hash="",
        env_hash="",
        seed=0,
        steps=0,
        seconds=0.0,
        validation_cost_eur=0.0,
        rule_cost_eur=0.0,
    )
    folder = tmp_path / "runs" / "quick" / "policy"
    checkpoint.save(folder, actor, checkpoint.card_of("quick", actor, provenance))
    path = tmp_path / "quick.yaml"
    path.write_text(
        f"env: tiny\nseeds: '9000:9004'\nprocesses: 1\nout: {tmp_path / 'results'}\n"
        f"policies: [{', '.join(BASELINES)}, {folder}]\n"
    )
    return path


def test_the_results_hold_every_policy_with_every_figure(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.main([str(config), "--seeds", "7:10"]) == 0
    out = tmp_path / "results"
    assert {path.name for path in out.iterdir()} == {"config.yaml", "metrics.json", "report.html"}
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["days"] == [7, 8, 9]
    assert metrics["scenario"] == "tiny"
    assert set(metrics["policies"]) == {*BASELINES, "quick"}
    for name, figures in metrics["policies"].items():
        program = {"planned_cost_eur", "bound_eur", "mip_gap"} if name in {"rolling_milp", "foresight_milp"} else set()
        assert set(figures) == KEYS | program
    policies = metrics["policies"]
    bound = policies["foresight_milp"]["bound_eur"]
    assert all(figures["cost_eur"] >= bound - 1e-6 for figures in policies.values())
    assert policies["foresight_milp"]["score"] == policies["rolling_milp"]["causal_score"] == 1.0
    assert "quick" in capsys.readouterr().out
    assert "Learning curve" not in (out / "report.html").read_text()


def test_the_first_day_is_drawn_as_a_film(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the learned policy, a frame for each of the four slots; the comparison follows as ever."""
    film = tmp_path / "day.gif"
    fast = ["--policies", "[default_schedule, foresight_milp, rolling_milp, timer]", "--seeds", "7:9"]
    assert evaluate.main([str(config), *fast, "--render", str(film)]) == 0
    with Image.open(film) as moving:
        assert (moving.format, moving.n_frames, moving.size) == ("GIF", 4, (960, 540))
    assert f"film: {film}" in capsys.readouterr().out
    assert evaluate.main([str(config), "--render", "day.mp4"]) == 2
    assert "ends in .gif" in capsys.readouterr().err


def test_processes_do_not_change_the_figures(config: Path, tmp_path: Path) -> None:
    for processes in ("1", "2"):
        assert evaluate.main([str(config), "--processes", processes, "--out", str(tmp_path / processes)]) == 0
    one, two = (json.loads((tmp_path / name / "metrics.json").read_text())["policies"] for name in ("1", "2"))
    for name in one:
        assert one[name]["cost_eur"] == pytest.approx(two[name]["cost_eur"], abs=1e-9)
        assert one[name]["score_ci"] == pytest.approx(two[name]["score_ci"], abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--seeds", "5:5"], "error: command line: seeds = 5:5: expected A:B with whole numbers 0 <= A < B"),
        (["--seeds", "5"], "error: command line: seeds = 5: expected"),
        (["--policies.2=tymer"], "policy = tymer: expected one of default_schedule, price_greedy, timer"),
        (["--policies.7=runs/none/policy"], "error: runs/none/policy/policy.json: file = "),
        (["--policies.0=timer"], "expected 'policies' to hold the references default_schedule"),
        (["--tile=x"], "error: command line: tile = x: expected a known key, the nearest is 'title'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    assert evaluate.main([str(config), *arguments]) == 2
    shown = capsys.readouterr().err
    assert line in shown and shown.count("\n") == 1
    assert not (tmp_path / "results").exists()


def policies_of(out: Path) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = json.loads((out / "metrics.json").read_text())["policies"]
    return found


def test_an_interrupted_comparison_goes_on_where_it_was(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off after five of its tasks; the other run is never interrupted."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert evaluate.main([str(config), "--out", str(whole)]) == 0
    run, tried = evaluate.run, list[evaluate.Task]()

    def interrupted(task: evaluate.Task) -> object:
        if len(tried) == 5:
            raise KeyboardInterrupt
        tried.append(task)
        return run(task)

    monkeypatch.setattr(evaluate, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluate.main([str(config), "--out", str(cut)])
    assert len(list((cut / "days.partial").iterdir())) == 5
    again = list[evaluate.Task]()
    monkeypatch.setattr(evaluate, "run", lambda task: again.append(task) or run(task))
    assert evaluate.main([str(config), "--out", str(cut), "--resume"]) == 0
    assert not set(again) & set(tried)
    assert not (cut / "days.partial").exists()
    for name, figures in policies_of(whole).items():
        assert policies_of(cut)[name]["cost_eur"] == pytest.approx(figures["cost_eur"], abs=1e-9)


def test_every_environment_has_a_folder_of_its_own(config: Path, tmp_path: Path) -> None:
    """The second one is `tiny` by another name."""
    other = tmp_path / "other.yaml"
    other.write_text((Path("configs/env/tiny.yaml").read_text()).replace("name: tiny", "name: other"))
    config.write_text(config.read_text().replace("env: tiny", f"env: [tiny, {other}]"))
    assert evaluate.main([str(config), "--seeds", "3:5"]) == 0
    results = tmp_path / "results"
    assert {folder.name for folder in results.iterdir()} == {"tiny", "other"}
    for name in ("tiny", "other"):
        metrics = json.loads((results / name / "metrics.json").read_text())
        assert metrics["scenario"] == name
        assert "Planned and realised: foresight_milp" in (results / name / "report.html").read_text()
    assert policies_of(results / "tiny")["timer"]["cost_eur"] == policies_of(results / "other")["timer"]["cost_eur"]
