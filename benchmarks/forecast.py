"""The forecast of bottlenecks: how fast it is, and how good against persistence and a deterministic forecast.

Speed is processor time on 1-LV-semiurb4 with 1,000 scenarios of 96 slots: the power flows with their quantiles alone,
and all of a forecast, with the joint scenarios and the answer of ten vehicles and ten heat pumps to the price in each.
Quality is that of the transformer's forecast on held-out days of two worlds: 1-LV-rural1 scenario 2 in the summer
half-year, where photovoltaics overload it, and `street`, where vehicles and heat pumps do that follow the price.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from baselines import catalog
from benchmarks.figures import Figure, cpu_seconds
from totalflex_env import config_files
from totalflex_env.config import DevicesConfig, EnvConfig, GridConfig, ScenarioConfig
from totalflex_env.devices.ev import EvConfig
from totalflex_env.devices.heat_pump import HeatPumpConfig
from totalflex_env.engine.build import build
from totalflex_env.evaluation import congestion, scorecard
from totalflex_env.evaluation.backtest import Scorecard, Setting, backtest
from totalflex_env.evaluation.congestion import Forecaster, Injections
from totalflex_env.evaluation.ensemble import archive

SCENARIOS = 1000
FRESH = 1_000_000  # first seed of the days of test: nothing was chosen or fitted with these in view
TRANSFORMER = ("trafo", 0)


def figures(full: bool) -> Iterator[Figure]:
    """Yield the figures; the quick form tries fewer days and scenarios."""
    torch.set_num_threads(1)  # processor time is to be that of the work, not of threads that wait for each other
    yield from speed()
    for name, setting in settings(full).items():
        yield from quality(name, backtest(setting, TRANSFORMER))


def speed() -> Iterator[Figure]:
    """Yield how long a forecast of 1,000 scenarios takes, without and with the scenarios themselves."""
    devices = DevicesConfig(ev=EvConfig(count=10), heat_pump=HeatPumpConfig(count=10))
    config = EnvConfig(name="semiurb4", grid=GridConfig(code="1-LV-semiurb4--0-sw"), devices=devices)
    world = build(config)
    forecaster = Forecaster(world, archive(world.source, range(SCENARIOS)), catalog.make("price_greedy"), SCENARIOS)
    _, expected = world.source.draw([SCENARIOS])
    drawn: list[Injections] = []  # both steps of `congestion.foresee` are timed on their own
    scenarios = cpu_seconds(lambda: drawn.append(congestion.injections(forecaster, expected)), repeats=1)
    grid, node = world.params.grid, world.params.node
    flow = cpu_seconds(lambda: congestion.forecast_on(grid, node, drawn[0]), repeats=3)
    case = f"{SCENARIOS}x{config.slots}"
    yield Figure(f"load_flow_s:{case}", flow, "s", better="lower", target=1.0)
    yield Figure(f"total_s:{case}", scenarios + flow, "s", better="lower", target=5.0)


def settings(full: bool) -> dict[str, Setting]:
    """Return what is tried, by the name of the net."""
    summer = ScenarioConfig(months=(4, 5, 6, 7, 8, 9))
    rural = EnvConfig(name="rural1_2", grid=GridConfig(code="1-LV-rural1--2-sw"), scenario=summer)
    sun = Setting(rural, catalog.make("default_schedule"), 1500, 40, 100, scenarios=60, first_test_seed=FRESH)
    street = config_files.load(EnvConfig, "street", "env")
    greedy = Setting(street, catalog.make("price_greedy"), 800, 60, 80, scenarios=40, first_test_seed=FRESH)
    if full:
        sun = replace(sun, archive_days=4000, validation_days=100, test_days=400, scenarios=200)
        greedy = replace(greedy, archive_days=2000, validation_days=100, test_days=160, scenarios=200)
    return {"rural1_2": sun, "street": greedy}


def quality(name: str, card: Scorecard) -> Iterator[Figure]:
    """Yield coverage, which must lie between two bounds, and scores beside those of the better rival.

    At a precision of 0.8, recall is effective (alarms that name at least the loading that came), `slots_found` the
    plain one. The Brier score of a rival is that of being sure of an overload, or of none.
    """
    yield Figure(f"coverage_90:{name}", card.coverage, "", better="higher", target=0.85)
    yield Figure(f"coverage_90_at_most:{name}", card.coverage, "", better="lower", target=0.95)
    rivals = {"persistence": card.persistence, "deterministic": card.deterministic}
    ours = card.forecast.at_precision
    recalls = {rival: each.at_precision.effective_recall for rival, each in rivals.items()}
    yield _above_the_best(f"recall_at_precision_0.8:{name}", ours.effective_recall, recalls)
    found = {rival: each.at_precision.recall for rival, each in rivals.items()}
    yield _above_the_best(f"slots_found_at_precision_0.8:{name}", ours.recall, found)
    losses = {rival: scorecard.pinball(card.levels, rivals[rival].quantiles, card.outcome) for rival in rivals}
    loss = scorecard.pinball(card.levels, card.forecast.quantiles, card.outcome)
    yield _below_the_best(f"pinball:{name}", loss, losses)
    misses = {rival: scorecard.brier((each.alarm.score > 1.0).double(), card.outcome) for rival, each in rivals.items()}
    miss = scorecard.brier(card.forecast.alarm.score, card.outcome)
    yield _below_the_best(f"brier:{name}", miss, misses)


def _above_the_best(what: str, ours: float, theirs: dict[str, float]) -> Figure:
    best = max(theirs, key=lambda rival: theirs[rival])
    return Figure(what, ours, "", "higher", 0.9, theirs[best], best)


def _below_the_best(what: str, ours: float, theirs: dict[str, float]) -> Figure:
    best = min(theirs, key=lambda rival: theirs[rival])
    return Figure(what, ours, "", "lower", theirs[best], theirs[best], best)
