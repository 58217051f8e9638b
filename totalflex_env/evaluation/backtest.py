"""Backtest of the forecast of bottlenecks on held-out days, against persistence and a deterministic forecast.

Three groups of days, which share no week: the archive (scenarios), days of validation (calibration, and the probability
at which to raise an alarm) and days of test (the scores). All three forecasts know the same at the day-ahead gate.

* Persistence: every slot is loaded as it was a day before.
* Deterministic: the day goes as expected, with the market's answer to it, in one AC power flow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env import batch
from totalflex_env.config import EnvConfig
from totalflex_env.engine.build import World, build
from totalflex_env.evaluation import congestion, scorecard
from totalflex_env.evaluation.calibration import Calibration, calibrate
from totalflex_env.evaluation.congestion import Forecaster
from totalflex_env.evaluation.ensemble import archive
from totalflex_env.evaluation.scorecard import Alarm, Detection
from totalflex_env.grid import forecast, tree
from totalflex_env.grid.forecast import GridForecast, Samples
from totalflex_env.grid_model import PowerFlow
from totalflex_env.scenario.sources import make_source
from totalflex_env.types import Episode, Policy, Scenario

NAMED_LEVEL = 0.99
"""Level of the quantile that an alarm names: what is bought against it is to be enough 99 times in a hundred."""

_ROWS = 2000  # episodes played side by side: bounds the memory, not the result


@dataclass(frozen=True)
class Days:
    """D days with what was expected of each, and the day before each."""

    actual: Scenario  # [D, ...]
    expected: Scenario  # [D, ...]
    before: Scenario  # [D, ...]
    expected_before: Scenario  # [D, ...]


@dataclass(frozen=True)
class Setting:
    """What is tried on which days."""

    config: EnvConfig
    policy: Policy
    archive_days: int
    validation_days: int
    test_days: int
    scenarios: int
    first_test_seed: int = 0  # choose another for a figure that is to be reported after choices were made


@dataclass(frozen=True)
class Contestant:
    """A forecast of one element on the days of test."""

    alarm: Alarm  # raised by the probability of an overload, or by a loading
    quantiles: Tensor  # [K, D, T] loading; all the same for a forecast that knows no spread
    at_precision: Detection  # the threshold that finds most at the wanted precision on these very days


@dataclass(frozen=True)
class Scorecard:
    """The scores of the forecast of one element on the days of test, and those of its rivals."""

    levels: Tensor  # [K]
    outcome: Tensor  # [D, T] loading
    forecast: Contestant
    persistence: Contestant
    deterministic: Contestant
    chosen: Detection  # of the forecast, with the threshold that was best on the days of validation
    coverage: float  # share of the outcomes between the outermost quantiles
    reliability: Tensor  # [K] how often the outcome was at most each quantile


def backtest(setting: Setting, element: tuple[str, int]) -> Scorecard:
    """Return the scores for an element, such as ("trafo", 0); bad days or elements are errors of their source."""
    world = build(_on(setting.config, "train"))
    column = world.params.grid.elements.index(element)
    past = archive(world.source, range(setting.archive_days))
    forecaster = Forecaster(world, past, setting.policy, setting.scenarios)
    calibration, chosen = _validated(forecaster, setting, column)

    days = consecutive(_on(setting.config, "test"), setting.test_days, setting.first_test_seed)
    plan, plan_before = _planned(forecaster, days.expected, days.expected_before)
    came, known = (days.actual, days.before, days.expected), (plan, plan_before, plan)
    flow = _flow(forecaster, batch.concatenate_rows(came), batch.concatenate_rows(known))
    outcome, before, guess = flow.loading[..., column].chunk(3)
    forecasts = [_calibrated(world, each, calibration) for each in _samples(forecaster, plan)]
    levels = forecasts[0].levels[:-1]
    quantiles = torch.stack([each.loading[:-1, :, column] for each in forecasts], dim=1)
    alarm = _alarm(forecasts, column)
    return Scorecard(
        levels=levels,
        outcome=outcome,
        forecast=Contestant(alarm, quantiles, scorecard.most_found(alarm, outcome)),
        persistence=_sure(before, outcome, len(levels)),
        deterministic=_sure(guess, outcome, len(levels)),
        chosen=scorecard.detection(alarm, outcome, chosen),
        coverage=scorecard.coverage(quantiles[0], quantiles[-1], outcome),
        reliability=scorecard.reliability(quantiles, outcome),
    )


def consecutive(config: EnvConfig, count: int, first: int = 0) -> Days:
    """Return `count` days of a world with the day before each, by the seeds from `first` on.

    Series are those of two days on end, drawn as one long episode and cut at its middle; habits (arrivals, needs) are
    drawn for each of the two days.
    """
    slots, source = config.slots, make_source(config)
    long = make_source(config.model_copy(update={"slots": 2 * slots})).draw(list(range(first, first + count)))
    one, other = (source.draw(list(range(begin, begin + count))) for begin in (first, first + count))
    return Days(
        actual=part(other[0], long[0], slots),
        expected=part(other[1], long[1], slots),
        before=part(one[0], long[0], 0),
        expected_before=part(one[1], long[1], 0),
    )


def part(habits: Scenario, series: Scenario, begin: int) -> Scenario:
    """Return the days `habits` [D, T, ...] with the slots from `begin` of all series of longer ones [D, > T, ...]."""
    slots = habits.spot.shape[1]

    def cut(pair: Sequence[Tensor]) -> Tensor:
        own, long = pair
        whole = own.dim() > 1 and own.shape[1] == slots and long.shape[1] == series.spot.shape[1]
        return long[:, begin : begin + slots] if whole else own

    return batch.combine([habits, series], cut)


def _validated(forecaster: Forecaster, setting: Setting, column: int) -> tuple[Calibration, float]:
    """The calibration by days of validation, and the probability at which an alarm is best raised on them."""
    source = make_source(_on(setting.config, "validation"))
    actual, expected = source.draw(list(range(setting.validation_days)))
    (plan,) = _planned(forecaster, expected)
    flow = _flow(forecaster, actual, plan)
    samples = list(_samples(forecaster, plan))
    found = calibrate(samples, flow.loading, flow.voltage)
    alarm = _alarm([_calibrated(forecaster.world, each, found) for each in samples], column)
    return found, scorecard.most_found(alarm, flow.loading[..., column]).threshold


def _planned(forecaster: Forecaster, *expected: Scenario) -> list[Episode]:
    """What is bought for days that are expected, several groups [D, ...] of them at once."""
    together = congestion.planned(forecaster.world.params, batch.concatenate_rows(expected), forecaster.policy)
    rows = torch.arange(len(together.nomination_kwh)).chunk(len(expected))
    return [batch.take_rows(together, group) for group in rows]


def _samples(forecaster: Forecaster, plan: Episode) -> Iterator[Samples]:
    """The state of the grid in the scenarios of each of D planned days, some days at a time."""
    params, block = forecaster.world.params, max(1, _ROWS // forecaster.scenarios)
    for days in torch.arange(len(plan.nomination_kwh)).split(block):
        power = congestion.scenarios_of(forecaster, batch.take_rows(plan, days))
        for day in range(len(days)):
            own = torch.arange(day * forecaster.scenarios, (day + 1) * forecaster.scenarios)
            yield congestion.samples_on(params.grid, params.node, batch.take_rows(power, own))


def _alarm(forecasts: Sequence[GridForecast], column: int) -> Alarm:
    """Alarms by the probability of an overload on D days, each naming the last quantile of the loading."""
    chance = torch.stack([each.overload[:, column] for each in forecasts])
    return Alarm(chance, torch.stack([each.loading[-1, :, column] for each in forecasts]))


def _calibrated(world: World, samples: Samples, calibration: Calibration) -> GridForecast:
    levels = (*forecast.LEVELS, NAMED_LEVEL)
    return calibration.apply(forecast.summary(world.params.grid, samples, levels), samples)


def _flow(forecaster: Forecaster, actual: Scenario, plan: Episode) -> PowerFlow:
    """The state of the grid [D, T, ...] on days that go as `actual`; one without a solution is loaded infinitely."""
    params = forecaster.world.params
    power = congestion.respond(params, actual, plan, forecaster.policy)
    active, reactive = (congestion.at_nodes(params.grid, params.node, part) for part in vars(power).values())
    flow = tree.solve(params.grid, active.flatten(0, 1), reactive.flatten(0, 1))
    flow = replace(
        flow,
        loading=flow.loading.masked_fill(~flow.converged[:, None], torch.inf),
        voltage=flow.voltage.masked_fill(~flow.converged[:, None], -torch.inf),
    )
    return batch.map_tensors(flow, lambda tensor: tensor.unflatten(0, active.shape[:2]))


def _sure(loading: Tensor, outcome: Tensor, levels: int) -> Contestant:
    """A forecast of a single number: every quantile is that number, and alarms are raised by it, with any margin."""
    alarm = Alarm(loading, None)
    return Contestant(alarm, loading.expand(levels, *loading.shape), scorecard.most_found(alarm, outcome))


def _on(config: EnvConfig, split: str) -> EnvConfig:
    """The same world on the days of a split."""
    return config.model_copy(update={"scenario": config.scenario.model_copy(update={"split": split})})
