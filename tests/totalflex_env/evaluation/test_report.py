"""The figures, the table and the page, on days whose numbers are made up."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser

import numpy as np
import pytest

from totalflex_env.evaluation import metrics, report
from totalflex_env.evaluation.figures import Clock
from totalflex_env.evaluation.planned_figures import compared, missed_kw, why
from totalflex_env.evaluation.results import CAUSES, KINDS, Program, Results, concatenate
from totalflex_env.evaluation.statistics import ScoreError

REFERENCES = metrics.References(default="default_schedule", foresight="foresight_milp", rolling="rolling_milp")
COSTS = {
    "default_schedule": 20.0,
    "price_greedy": 26.0,
    "timer": 17.0,
    "rolling_milp": 11.0,
    "foresight_milp": 10.0,
    "quickstart": 12.0,
}
KEYS = {
    "cost_eur", "score", "score_ci", "causal_score", "causal_score_ci", "overload_minutes", "voltage_minutes",
    "comfort_degree_hours", "unmet_kwh", "decision_seconds",
}  # fmt: skip


@dataclass(frozen=True)
class Point:
    """One validation."""

    seconds: float
    steps: int
    validation_cost_eur: float


def made_up(cost: float, days: int = 4, slots: int = 96, seed: int = 0) -> Results:
    """Days of a smooth evening peak whose height follows the cost."""
    random = np.random.default_rng(seed)
    hours = np.arange(slots) / 4.0
    peak = np.exp(-(((hours - 6.0) / 3.0) ** 2))
    power = np.zeros((days, slots, len(KINDS)))
    for kind, height in enumerate((25.0, 40.0, 2.0, 5.0, 60.0, 0.0, 0.0)):
        power[:, :, kind] = height * (0.4 + peak * cost / 20.0) * random.uniform(0.9, 1.1, (days, 1))
    power[:, :, 5] = 12.0 * np.sin(hours)
    power[:, :, 6] = -20.0 * np.exp(-(((hours - 22.0) / 2.0) ** 2))
    spot = 0.09 + 0.05 * peak + random.normal(0.0, 0.004, (days, slots))
    parts = np.full((days, len(CAUSES)), cost / len(CAUSES)) + random.normal(0.0, 0.1, (days, len(CAUSES)))
    return Results(
        seeds=tuple(range(9000, 9000 + days)),
        cost_eur=parts.sum(axis=1),
        overload_minutes=np.full(days, 15.0),
        voltage_minutes=np.zeros(days),
        comfort_degree_hours=np.full(days, 0.3),
        unmet_kwh=np.zeros(days),
        decision_seconds=np.full(days, 0.002),
        causes_eur=parts,
        money_eur=np.stack([-parts.sum(axis=1) - 3.0, np.ones(days), np.ones(days), np.ones(days)], axis=1),
        power_kw=power,
        loading=np.abs(power.sum(axis=2)) / 130.0,
        net_kw=power.sum(axis=2),
        nomination_kw=power.sum(axis=2) * 0.95,
        spot=spot,
        up=spot + 0.02,
        down=spot - 0.03,
    )


@pytest.fixture(scope="module")
def results() -> dict[str, Results]:
    days = {name: made_up(cost, seed=i) for i, (name, cost) in enumerate(COSTS.items())}
    four, came = np.full(4, 9.9), days["foresight_milp"]
    plan = came.causes_eur - 0.25, 0.9 * came.power_kw, 0.9 * came.net_kw, 0.8 * came.loading
    days["foresight_milp"] = replace(came, program=Program(four, four - 0.1, np.full(4, 0.004), *plan))
    return days


def measured(results: dict[str, Results]) -> metrics.Metrics:
    return metrics.metrics(metrics.Setting("street", "abc"), REFERENCES, results)


def test_metrics_have_the_published_form(results: dict[str, Results]) -> None:
    content = json.loads(json.dumps(measured(results), allow_nan=False))
    assert set(content) == {"revision", "versions", "scenario", "scenario_hash", "days", "policies"}
    assert content["days"] == [9000, 9001, 9002, 9003]
    assert set(content["policies"]) == set(COSTS)
    for name, figures in content["policies"].items():
        extra = {"planned_cost_eur", "bound_eur", "mip_gap"} if name == "foresight_milp" else set()
        assert set(figures) == KEYS | extra
        assert figures["cost_eur"] == pytest.approx(results[name].cost_eur.mean(), abs=1e-12)
    assert content["policies"]["default_schedule"]["score"] == 0.0
    assert content["policies"]["foresight_milp"]["score"] == content["policies"]["rolling_milp"]["causal_score"] == 1.0


def test_policies_on_other_days_are_refused(results: dict[str, Results]) -> None:
    other = replace(results["timer"], seeds=(9000, 9001, 9002, 9004))
    with pytest.raises(ScoreError, match=r"policy timer was tried on days .*9004.*expected .*9003"):
        measured(results | {"timer": other})


def test_a_figure_that_is_not_finite_is_refused(results: dict[str, Results]) -> None:
    wrong = replace(results["timer"], voltage_minutes=np.full(4, np.nan))
    with pytest.raises(ScoreError, match="policy timer: voltage_minutes = nan"):
        measured(results | {"timer": wrong})


def test_the_table_has_one_aligned_line_per_policy(results: dict[str, Results]) -> None:
    lines = metrics.table(measured(results)).splitlines()
    assert len(lines) == 3 + len(COSTS)
    assert len({len(line) for line in lines}) == 1
    assert [line.split()[0] for line in lines[3:]] == list(COSTS)


def test_groups_of_days_join_in_the_order_of_their_seeds(results: dict[str, Results]) -> None:
    whole = results["foresight_milp"]

    def part(days: list[int]) -> Results:
        cut = {name: value[days] for name, value in vars(whole).items() if name not in {"seeds", "program"}}
        assert whole.program is not None
        program = Program(*(value[days] for value in vars(whole.program).values()))
        return Results(seeds=tuple(whole.seeds[day] for day in days), **cut, program=program)

    joined = concatenate([part([2, 3]), part([0]), part([1])])
    assert joined.seeds == whole.seeds
    assert joined.program is not None
    for name, value in vars(whole).items():
        if name not in {"seeds", "program"}:
            np.testing.assert_array_equal(vars(joined)[name], value)
    assert whole.program is not None
    np.testing.assert_array_equal(joined.program.bound_eur, whole.program.bound_eur)


class Page(HTMLParser):
    """Collects what the page holds and what it would load from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attributes:
            if name in {"src", "href", "xlink:href"} and value and not value.startswith("#"):
                self.loaded.append(value)


def test_the_page_stands_alone_and_shows_every_policy(results: dict[str, Results]) -> None:
    curve = [Point(0.0, 0, 14.0), Point(10.0, 1000, 15.0), Point(20.0, 2000, 12.0)]
    comparison = report.Comparison(
        "Quickstart <1>", measured(results), REFERENCES, results, ("quickstart",), Clock(12, 0.25), curve
    )
    text = report.html(comparison)
    page = Page()
    page.feed(text)
    assert page.loaded == []
    assert page.tags.count("svg") == page.tags.count("section") - 1 == 7
    assert "Quickstart &lt;1&gt;" in text
    assert not re.search(r"\bnan\b", text.split("</table>")[0])
    for name in COSTS:
        assert f"{name}</td>" in text
    without = report.html(replace(comparison, curve=[]))
    assert "Learning curve" not in without


def test_the_same_comparison_gives_the_same_page(results: dict[str, Results]) -> None:
    comparison = report.Comparison("t", measured(results), REFERENCES, results, (), Clock(12, 0.25), [])
    assert report.html(comparison) == report.html(comparison)


def test_planned_and_realised_stand_side_by_side(results: dict[str, Results]) -> None:
    came = results["foresight_milp"]
    assert came.program is not None
    rows = {what: (planned, real) for what, planned, real in compared(came, came.program, 0.25)}
    planned, real = rows["energy taken (kWh)"]
    assert planned == pytest.approx(0.9 * real) == pytest.approx(0.9 * came.net_kw.sum() * 0.25 / 4)
    assert rows["highest loading (% of rating)"][0] == pytest.approx(0.8 * rows["highest loading (% of rating)"][1])
    assert rows["cost (EUR)"][1] == pytest.approx(came.cost_eur.mean())
    assert sum(rows[f"cost: {cause} (EUR)"][1] for cause in CAUSES) == pytest.approx(rows["cost (EUR)"][1])
    assert rows["cost (EUR)"][1] - rows["cost (EUR)"][0] == pytest.approx(0.25 * len(CAUSES))
    parts = [rows[what] for what in rows if what.startswith(("of which", "less"))]
    assert sum(part[1] for part in parts[:2]) - parts[2][1] == pytest.approx(real)
    assert missed_kw(came, came.program) == pytest.approx(0.1 * np.abs(came.net_kw).mean())
    assert "A day cost +1.50 EUR against the plan" in why(came, came.program)


def test_the_page_compares_every_plan(results: dict[str, Results]) -> None:
    page = report.html(report.Comparison("t", measured(results), REFERENCES, results, (), Clock(12, 0.25), []))
    assert page.count("Planned and realised: ") == 1
    assert "cost: imbalance (EUR)" in page
