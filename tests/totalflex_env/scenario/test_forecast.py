"""A forecast knows the past and what has begun, nothing else, and is the better the nearer it looks."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from totalflex_env import batch, config_files
from totalflex_env.config import EnvConfig
from totalflex_env.devices.sessions import Sessions
from totalflex_env.engine.build import build
from totalflex_env.scenario import street
from totalflex_env.scenario.forecast import expect_slot, forecast
from totalflex_env.types import Params, Scenario

SLOTS = (0, 1, 19, 20, 23, 40, 95)
SERIES = ("up", "down", "wind_kwh", "base_kwh", "base_kvarh", "pv_kwh")
DAYS = 1500


@pytest.fixture(scope="module")
def config() -> EnvConfig:
    return config_files.load(EnvConfig, "street", "env")


@pytest.fixture(scope="module")
def params() -> Params:
    return build(config_files.load(EnvConfig, "street", "env")).params


@pytest.fixture(scope="module")
def episode(config: EnvConfig) -> tuple[Scenario, Scenario]:
    return street.make(config).draw(list(range(DAYS)))


def few(episode: tuple[Scenario, Scenario]) -> tuple[Scenario, Scenario]:
    rows = torch.arange(24)
    return batch.take_rows(episode[0], rows), batch.take_rows(episode[1], rows)


def with_another_future(actual: Scenario, other: Scenario, slot: int) -> Scenario:
    """The same episode up to a slot, another one's outcomes from there on, other sessions for what has not begun."""

    def splice(ours: Tensor, theirs: Tensor, known: int) -> Tensor:
        return torch.cat([ours[:, :known], theirs[:, known:]], dim=1)

    (ours, heat, wash), (theirs, warmth, washing) = actual.habits, other.habits
    there, loaded, later = ours.arrival <= slot, wash.ready <= slot, theirs.arrival.clamp(min=slot + 1)
    sessions = Sessions(
        arrival=torch.where(there, ours.arrival, later),
        departure=torch.where(there, ours.departure, torch.maximum(theirs.departure, later)),
        need_kwh=torch.where(there, ours.need_kwh, theirs.need_kwh),
        stored_kwh=ours.stored_kwh,
    )
    climate = replace(
        heat,
        ambient=splice(heat.ambient, warmth.ambient, slot + 1),
        cop=splice(heat.cop, warmth.cop, slot + 1),
    )
    windows = replace(wash, ready=torch.where(loaded, wash.ready, washing.ready.clamp(min=slot + 1)))
    return replace(
        actual,
        **{name: splice(vars(actual)[name], vars(other)[name], slot) for name in ("wind_kwh", "base_kwh", "pv_kwh")},
        base_kvarh=splice(actual.base_kvarh, other.base_kvarh, slot),
        up=splice(actual.up, actual.spot + (other.up - other.spot), slot),
        down=splice(actual.down, actual.spot + (other.down - other.spot), slot),
        temperature=splice(actual.temperature, other.temperature, slot + 1),
        irradiance=splice(actual.irradiance, other.irradiance, slot + 1),
        habits=(sessions, climate, windows),
    )


@pytest.mark.parametrize("slot", SLOTS)
def test_another_future_leaves_the_forecast_unchanged(
    slot: int, episode: tuple[Scenario, Scenario], config: EnvConfig, params: Params
) -> None:
    actual, expected = few(episode)
    other = batch.take_rows(actual, torch.arange(24).roll(1))
    changed = with_another_future(actual, other, slot)
    if slot < 95:
        assert not batch.equal(actual, changed)
    assert batch.equal(forecast(params, actual, expected, slot), forecast(params, changed, expected, slot))
    assert batch.equal(expect_slot(actual, expected, slot, config), expect_slot(changed, expected, slot, config))


@pytest.mark.parametrize("slot", SLOTS)
def test_the_past_is_as_it_was(
    slot: int, episode: tuple[Scenario, Scenario], config: EnvConfig, params: Params
) -> None:
    actual, expected = few(episode)
    guess = forecast(params, actual, expected, slot).scenario
    for name in SERIES:
        assert torch.equal(vars(guess)[name][:, :slot], vars(actual)[name][:, :slot])
    for name in ("temperature", "irradiance"):
        assert torch.equal(vars(guess)[name][:, : slot + 1], vars(actual)[name][:, : slot + 1])
    for name in ("ambient", "cop"):
        known, true = (vars(each.habits[1])[name][:, : slot + 1] for each in (guess, actual))
        assert torch.equal(known, true)
    assert torch.equal(guess.spot, actual.spot)


@pytest.mark.parametrize("slot", SLOTS)
def test_one_slot_is_the_column_of_the_whole(
    slot: int, episode: tuple[Scenario, Scenario], config: EnvConfig, params: Params
) -> None:
    actual, expected = few(episode)
    whole, column = forecast(params, actual, expected, slot).scenario, expect_slot(actual, expected, slot, config)
    for name in ("spot", *SERIES):
        assert torch.equal(vars(column)[name], vars(whole)[name][:, slot])


@pytest.mark.parametrize("slot", SLOTS)
def test_bounds_of_nature_hold(
    slot: int, episode: tuple[Scenario, Scenario], config: EnvConfig, params: Params
) -> None:
    actual, expected = few(episode)
    guess = forecast(params, actual, expected, slot).scenario
    for energy in (guess.base_kwh, guess.pv_kwh, guess.wind_kwh):
        assert (energy >= 0.0).all()
    assert (guess.pv_kwh[:, slot:][expected.pv_kwh[:, slot:] == 0.0] == 0.0).all()
    assert (guess.up >= guess.spot).all() and (guess.spot >= guess.down).all()
    sessions, climate, windows = guess.habits
    surroundings = params.families[1].climate(guess.temperature)
    assert torch.equal(climate.cop, surroundings.cop) and torch.equal(climate.ambient, surroundings.ambient)
    assert (sessions.arrival <= sessions.departure).all() and (sessions.departure <= 96).all()
    room = (sessions.departure - sessions.arrival)[..., :13] * config.devices.ev.power_kw * 0.25
    assert (sessions.need_kwh[..., :13] <= room + 1e-9).all()
    assert (windows.ready <= windows.latest).all()


def test_a_known_error_fades_by_hand(episode: tuple[Scenario, Scenario], config: EnvConfig, params: Params) -> None:
    """Temperature is known of slot 40, so at slot 48 it has faded for 8 slots: exp(-2 h / 12 h) of it is left."""
    actual, expected = few(episode)
    guess = forecast(params, actual, expected, 40).scenario
    left = math.exp(-2.0 / config.forecast.temperature.memory_h)
    error = (actual.temperature - expected.temperature)[:, 40]
    torch.testing.assert_close(guess.temperature[:, 48] - expected.temperature[:, 48], left * error)
    left = math.exp(-0.25 * 9 / config.forecast.load.memory_h)
    error = (actual.base_kwh - expected.base_kwh)[:, 39]
    by_hand = (expected.base_kwh[:, 48] + left * error).clamp(min=0.0)
    torch.testing.assert_close(guess.base_kwh[:, 48], by_hand)


def test_an_imbalance_price_is_known_for_the_rest_of_its_hour(
    episode: tuple[Scenario, Scenario], config: EnvConfig, params: Params
) -> None:
    actual, expected = few(episode)
    torch.testing.assert_close(forecast(params, actual, expected, 41).scenario.up[:, 41:44], actual.up[:, 41:44])
    first = expect_slot(actual, expected, 40, config)
    assert not torch.allclose(first.up, actual.up[:, 40])


def of_all_houses(series: Tensor) -> Tensor:
    return series.sum(dim=2) if series.dim() == 3 else series


@pytest.mark.parametrize("name", ["base_kwh", "wind_kwh", "temperature", "up", "down"])
def test_errors_grow_with_lead_time_towards_the_day_ahead_error(
    name: str, episode: tuple[Scenario, Scenario], config: EnvConfig, params: Params
) -> None:
    actual, expected = (of_all_houses(vars(each)[name]) for each in episode)
    guess = of_all_houses(vars(forecast(params, *episode, 26).scenario)[name])
    leads = [1, 5, 11, 60]
    wide = [float((actual - guess)[:, 26 + lead].std() / (actual - expected)[:, 26 + lead].std()) for lead in leads]
    assert all(near < far + 0.01 for near, far in itertools.pairwise(wide))
    assert wide[0] < 0.85 and wide[-1] == pytest.approx(1.0, abs=0.1)


def test_the_solar_forecast_beats_the_day_ahead_one_in_the_morning(
    episode: tuple[Scenario, Scenario], config: EnvConfig, params: Params
) -> None:
    """At 10:00, slot 88, for the next half hour and for noon."""
    actual, expected = (each.pv_kwh.sum(dim=2) for each in episode)
    guess = forecast(params, *episode, 88).scenario.pv_kwh.sum(dim=2)
    ratio = (actual - guess)[:, 88:].std(dim=0) / (actual - expected)[:, 88:].std(dim=0)
    assert ratio[1] < 0.7 and ratio[1] < ratio[7] < 1.0


@pytest.mark.parametrize("slot", [1, 26, 60])
def test_forecasts_are_unbiased(
    slot: int, episode: tuple[Scenario, Scenario], config: EnvConfig, params: Params
) -> None:
    actual, guess = episode[0], forecast(params, *episode, slot).scenario
    for name, scale in (("base_kwh", 6.0), ("wind_kwh", 6.0), ("temperature", 5.0), ("up", 0.1), ("down", 0.1)):
        error = of_all_houses(vars(actual)[name] - vars(guess)[name])[:, slot:]
        assert float(error.mean()) == pytest.approx(0.0, abs=0.025 * scale), name


def test_sessions_are_known_once_plugged_in_and_overdue_ones_come_next_slot(
    episode: tuple[Scenario, Scenario], config: EnvConfig, params: Params
) -> None:
    actual, expected = few(episode)
    for slot in (10, 20, 23, 90):
        guess, _, wash = forecast(params, actual, expected, slot).scenario.habits
        true, _, loaded = actual.habits
        there = true.arrival <= slot
        for name in ("arrival", "departure", "need_kwh"):
            assert torch.equal(vars(guess)[name][there], vars(true)[name][there])
        assert (guess.arrival[~there] == max(20, slot + 1)).all()
        begun = loaded.ready <= slot
        assert torch.equal(wash.ready[begun], loaded.ready[begun])
        assert (wash.ready[~begun] == max(30, slot + 1)).all()


def test_a_late_vehicle_stays_as_long_as_it_needs_and_asks_for_what_fits(config: EnvConfig, params: Params) -> None:
    """12 kWh at 2.75 kWh a slot are 5 slots: from 91 on until 96; from 94 on only 2 slots are left, 5.5 kWh."""
    actual, expected = street.make(config).draw([0])
    sessions, *others = actual.habits
    absent = replace(actual, habits=(replace(sessions, arrival=torch.full_like(sessions.arrival, 95)), *others))
    late, last = (forecast(params, absent, expected, slot).scenario.habits[0] for slot in (90, 93))
    assert (int(late.arrival[0, 0, 0]), int(late.departure[0, 0, 0])) == (91, 96)
    assert late.need_kwh[0, 0, 0].item() == pytest.approx(11.972, abs=1e-3)
    assert (int(last.arrival[0, 0, 0]), int(last.departure[0, 0, 0])) == (94, 96)
    assert last.need_kwh[0, 0, 0].item() == pytest.approx(5.5)


def test_float32_stays_float32_and_a_row_stays_alone(
    episode: tuple[Scenario, Scenario], config: EnvConfig, params: Params
) -> None:
    actual, expected = (batch.to(each, dtype=torch.float32) for each in few(episode))
    single = batch.to(params, dtype=torch.float32)
    guess = forecast(single, actual, expected, 30).scenario
    tensors = [*(t for t in vars(guess).values() if isinstance(t, Tensor)), *vars(guess.habits[0]).values()]
    assert {t.dtype for t in tensors} == {torch.float32, torch.int64}
    row = torch.tensor([3])
    alone = forecast(single, batch.take_rows(actual, row), batch.take_rows(expected, row), 30).scenario
    assert batch.equal(alone, batch.take_rows(guess, row))
