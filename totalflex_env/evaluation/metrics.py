"""The figures of a comparison: what `metrics.json` holds and what the table on screen shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from totalflex_env.evaluation import provenance
from totalflex_env.evaluation.results import Results
from totalflex_env.evaluation.statistics import ScoreError, score


class PolicyFigures(TypedDict, total=False):
    """The figures of one policy, means per day; the last three only for mixed-integer programs."""

    cost_eur: float
    score: float
    score_ci: list[float]
    causal_score: float
    causal_score_ci: list[float]
    overload_minutes: float
    voltage_minutes: float
    comfort_degree_hours: float
    unmet_kwh: float
    decision_seconds: float
    planned_cost_eur: float
    bound_eur: float
    mip_gap: float


class Metrics(TypedDict):
    """The content of `metrics.json`."""

    revision: str
    versions: dict[str, str]
    scenario: str
    scenario_hash: str
    days: list[int]
    policies: dict[str, PolicyFigures]


@dataclass(frozen=True)
class References:
    """Names of the policies that the scores refer to."""

    default: str  # score 0
    foresight: str  # score 1
    rolling: str  # causal score 1


@dataclass(frozen=True)
class Setting:
    """Where the days come from."""

    scenario: str  # name of the environment
    scenario_hash: str  # of everything that decides what a day is and how the references are computed


def metrics(setting: Setting, references: References, results: Mapping[str, Results]) -> Metrics:
    """Return the figures of every policy; all were tried on the same days."""
    days = results[references.default].seeds
    for name, result in results.items():
        if result.seeds != days:
            raise ScoreError(f"policy {name} was tried on days {list(result.seeds)}, expected {list(days)}")
    return Metrics(
        revision=provenance.revision(),
        versions=provenance.versions(),
        scenario=setting.scenario,
        scenario_hash=setting.scenario_hash,
        days=list(days),
        policies={name: _figures(name, results, references) for name in results},
    )


def _figures(name: str, results: Mapping[str, Results], references: References) -> PolicyFigures:
    own, default = results[name], results[references.default]
    whole = score(default.cost_eur, own.cost_eur, results[references.foresight].cost_eur, references.foresight)
    causal = score(default.cost_eur, own.cost_eur, results[references.rolling].cost_eur, references.rolling)
    figures = PolicyFigures(
        cost_eur=float(own.cost_eur.mean()),
        score=whole.value,
        score_ci=[whole.lower, whole.upper],
        causal_score=causal.value,
        causal_score_ci=[causal.lower, causal.upper],
        overload_minutes=float(own.overload_minutes.mean()),
        voltage_minutes=float(own.voltage_minutes.mean()),
        comfort_degree_hours=float(own.comfort_degree_hours.mean()),
        unmet_kwh=float(own.unmet_kwh.mean()),
        decision_seconds=float(own.decision_seconds.mean()),
    )
    if own.program is not None:
        figures["planned_cost_eur"] = float(own.program.planned_cost_eur.mean())
        figures["bound_eur"] = float(own.program.bound_eur.mean())
        figures["mip_gap"] = float(own.program.mip_gap.mean())
    _check_finite(name, figures)
    return figures


def _check_finite(name: str, figures: PolicyFigures) -> None:
    for key, value in figures.items():
        numbers = value if isinstance(value, list) else [value]
        if not all(isinstance(number, float) and math.isfinite(number) for number in numbers):
            raise ScoreError(f"policy {name}: {key} = {value}, expected finite numbers")


COLUMNS = ("policy", "EUR/day", "score", "causal score", "overload", "voltage", "comfort", "unmet", "decision")
UNITS = ("", "", "95 % interval", "95 % interval", "min/day", "min/day", "K·h/day", "kWh/day", "ms/slot")


def rows(measured: Metrics) -> list[tuple[str, ...]]:
    """Return one row of texts per policy under COLUMNS."""
    return [
        (
            name,
            f"{figures['cost_eur']:.2f}",
            _with_interval(figures["score"], figures["score_ci"]),
            _with_interval(figures["causal_score"], figures["causal_score_ci"]),
            f"{figures['overload_minutes']:.0f}",
            f"{figures['voltage_minutes']:.0f}",
            f"{figures['comfort_degree_hours']:.2f}",
            f"{figures['unmet_kwh']:.2f}",
            f"{1e3 * figures['decision_seconds']:.2f}",
        )
        for name, figures in measured["policies"].items()
    ]


def _with_interval(value: float, interval: list[float]) -> str:
    return f"{value:.2f}  [{interval[0]:.2f}, {interval[1]:.2f}]"


def table(measured: Metrics) -> str:
    """Return the table for the screen."""
    lines = [COLUMNS, UNITS, *rows(measured)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    texts = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths))
        )
        for line in lines
    ]
    return "\n".join([*texts[:2], "-" * len(texts[0]), *texts[2:]])
