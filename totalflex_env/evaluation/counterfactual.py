"""The true counterfactual: the same seeds lived again without a call, and what every baseline method is wrong by.

Only a simulator has it. A day is lived twice, called and not called; the meter of the second life is what would have
been consumed, and the distance of a method's baseline from it is that method's bias. The days before, which several
methods look at, are lived too: they follow each other in weather, prices and load, with their own habits.

Letters in the shapes: S days, D days before each, T slots, P houses, U = S P units, the houses of the first day first.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env import batch
from totalflex_env.config import EnvConfig
from totalflex_env.engine.build import World, episode_of
from totalflex_env.engine.rollout import rollout
from totalflex_env.engine.scripted import Untraded
from totalflex_env.evaluation.backtest import part
from totalflex_env.market.customer_baseline import METHODS, SIMILAR_DAYS, Evidence
from totalflex_env.scenario.forecast import forecast
from totalflex_env.scenario.sources import make_source
from totalflex_env.types import Episode, Params, Scenario, Situation

LOWER, DEFAULT, UPPER = -1.0, 0.0, 1.0
EARLY, LATE = 16, 8
"""Slots before a call at which its two preludes begin; the early one ends where the late one begins."""

Conduct = tuple[float, float, float]
"""What devices do in the early prelude, the late one and the call: from as little as they may (-1) over what they would
by default (0) to all they may (1)."""

LEFT_ALONE: Conduct = (DEFAULT, DEFAULT, DEFAULT)
CALLED: Conduct = (DEFAULT, DEFAULT, LOWER)


@dataclass(frozen=True)
class Lives:
    """Days as they were lived."""

    metered_kwh: Tensor  # [S, T, P] at the connection points
    money_eur: Tensor  # [S, P] of the houses: minus energy at spot, discomfort and missing stored energy
    headroom_kwh: Tensor  # [S, T, P] that the devices could have taken more in each slot


@dataclass(frozen=True)
class Case:
    """The calls of S days, and all that is known of them before and after."""

    params: Params
    day: Episode  # [S, ...]
    before: tuple[Episode, ...]  # D of [S, ...], the latest last
    window: Tensor  # [S, T] bool, slots of the call
    called: Tensor  # [P] bool, houses that are called; the others with devices are the control group


@dataclass(frozen=True)
class Bias:
    """How far a method is from the truth in the called slots of the called houses."""

    mean_kwh: float  # baseline less truth, per slot
    absolute_kwh: float  # mean distance
    truth_kwh: float  # mean of the truth, to compare with


def case(world: World, seeds: list[int], slots: int) -> Case:
    """Return the case in which, on the days of `seeds`, every other house with devices is called for `slots` slots.

    The call comes where the houses left alone load the grid most.
    """
    params, config = world.params, world.params.config
    days = [episode_of(params, *pair) for pair in _days_on_end(config, seeds, SIMILAR_DAYS + 1)]
    nobody = torch.zeros_like(days[-1].actual.spot, dtype=torch.bool)
    load = live(params, days[-1], nobody, LEFT_ALONE).metered_kwh.sum(2)
    begin = load[:, EARLY:].unfold(1, slots, 1).sum(2).argmax(1) + EARLY
    slot = torch.arange(load.shape[1])
    houses = params.house.unique()
    called = torch.zeros(len(params.node), dtype=torch.bool)
    called[houses[::2]] = True
    window = (slot >= begin[:, None]) & (slot < begin[:, None] + slots)
    return Case(params, days[-1], tuple(days[:-1]), window, called)


def live(params: Params, episode: Episode, window: Tensor, conduct: Conduct) -> Lives:
    """Return the days of an episode without a market, its devices doing `conduct` around the call `window` [S, T]."""
    return live_each(params, [episode], window, [conduct])[0]


def live_each(params: Params, episodes: list[Episode], window: Tensor, conducts: list[Conduct]) -> list[Lives]:
    """Return the days of several episodes of S rows, each with a conduct of its own, all lived side by side."""
    same = torch.tensor(conducts, dtype=torch.float64)[:, None, None]
    return live_all(params, episodes, window, same.expand(-1, len(window), len(params.node), -1))


def live_all(params: Params, episodes: list[Episode], window: Tensor, conducts: Tensor) -> list[Lives]:
    """Return the days of E episodes of S rows; every house [E, S, P, 3] has a conduct of its own in each."""
    together = batch.concatenate_rows(episodes)
    phase = _phases(window).repeat(len(episodes), 1)
    left_alone = torch.zeros_like(conducts[..., :1])
    levels = torch.cat([conducts, left_alone], 3).flatten(0, 1).to(together.actual.spot)

    def choice(now: Situation) -> Tensor:
        level = levels[torch.arange(len(phase)), :, phase[:, now.state.slot]][:, params.house]
        most = torch.where(level < 0.0, now.lower, now.upper)
        return torch.lerp(now.default, most, level.abs())

    trace = rollout(params, together, Untraded(choice))
    devices, room = trace.outcomes.energy_kwh, trace.decisions.upper - trace.outcomes.energy_kwh
    fixed = together.actual.base_kwh - together.actual.pv_kwh
    found = Lives(
        metered_kwh=fixed.index_add(2, params.house, devices),
        money_eur=trace.outcomes.rewards.prosumer.sum(1),
        headroom_kwh=torch.zeros_like(fixed).index_add(2, params.house, room.clamp(min=0.0)),
    )
    return [batch.take_rows(found, rows) for rows in torch.arange(len(phase)).split(len(window))]


def evidence(here: Case, called: Lives, alone: Lives, history: list[Lives]) -> Evidence:
    """Return what the methods know [U, ...] when the called houses lived as in `called` and the others as in `alone`.

    What a house declares at the gate and the default schedule of its flex-offers are both what it would do if left
    alone: the one on the day that was expected, the other on the one that is expected when the call begins.
    """
    params, day = here.params, here.day
    expected = live(params, episode_of(params, day.expected, day.expected), here.window, LEFT_ALONE).metered_kwh
    temperature = day.actual.temperature[:, :, None].expand_as(expected)
    past = torch.stack([each.actual.temperature for each in here.before], 1)
    past = past[..., None].expand(-1, -1, -1, len(params.node))
    marks = here.window[:, :, None] & here.called
    metered = torch.where(here.called, called.metered_kwh, alone.metered_kwh)
    number = torch.arange(len(metered))[:, None].expand(-1, len(params.node))
    flexible = torch.zeros(len(params.node), dtype=torch.int64)
    flexible[params.house] = 1
    return Evidence(
        metered_kwh=units(metered),
        called=units(marks),
        nomination_kwh=units(expected),
        default_kwh=units(_offered(here)),
        history_kwh=torch.stack([units(each.metered_kwh) for each in history], 1),
        eligible=torch.ones(number.numel(), len(history), dtype=torch.bool),
        temperature=units(temperature),
        past_temperature=past.permute(0, 3, 1, 2).flatten(0, 1),
        group=(2 * number + flexible).flatten(),
    )


def biases(here: Case) -> dict[str, Bias]:
    """Return the bias of every method, the called houses doing what they are called for."""
    params = here.params
    episodes = [here.day, here.day, *here.before]
    alone, called, *history = live_each(
        params, episodes, here.window, [LEFT_ALONE, CALLED] + [LEFT_ALONE] * len(here.before)
    )
    known, truth = evidence(here, called, alone, history), units(alone.metered_kwh)
    found = {}
    for name, method in METHODS.items():
        error = (method(known) - truth)[known.called]
        found[name] = Bias(float(error.mean()), float(error.abs().mean()), float(truth[known.called].mean()))
    return found


def units(values: Tensor) -> Tensor:
    """Values of days and houses [S, T, P] as those of units [U, T]."""
    return values.transpose(1, 2).flatten(0, 1)


def _offered(here: Case) -> Tensor:
    """The default schedules [S, T, P] kWh of flex-offers issued as the call begins, with what is known by then."""
    found = []
    for number, begin in enumerate(here.window.byte().argmax(1).tolist()):
        row = batch.take_rows(here.day, torch.tensor([number]))
        known = forecast(here.params, row.actual, row.expected, begin).scenario
        window = here.window[number : number + 1]
        found.append(live(here.params, episode_of(here.params, known, known), window, LEFT_ALONE).metered_kwh)
    return torch.cat(found)


def _phases(window: Tensor) -> Tensor:
    """Which part of a conduct every slot [S, T] belongs to: 0 and 1 before the call, 2 in it, 3 elsewhere."""
    slot = torch.arange(window.shape[1])
    begin = torch.where(window.any(1), window.byte().argmax(1), 3 * window.shape[1])[:, None]
    late = (slot >= begin - LATE) & (slot < begin)
    early = (slot >= begin - EARLY) & (slot < begin - LATE)
    return torch.where(window, 2, torch.where(late, 1, torch.where(early, 0, 3)))


def _days_on_end(config: EnvConfig, seeds: list[int], count: int) -> list[tuple[Scenario, Scenario]]:
    """Truth and expectation of `count` consecutive days that end on the day of each seed, a day of all seeds each."""
    slots, source = config.slots, make_source(config)
    anywhere = config.scenario.model_copy(update={"split": "all"})
    long = make_source(config.model_copy(update={"slots": count * slots, "scenario": anywhere})).draw(seeds)
    days = []
    for number in range(count):
        drawn = source.draw([count * seed + number for seed in seeds])
        actual, expected = (part(own, series, number * slots) for own, series in zip(drawn, long))
        days.append((actual, expected))
    return days
