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
from totalflex_env.scenario import street, weather
from totalflex_env.scenario.forecast import expect_slot, forecast
from totalflex_env.types import Scenario

SLOTS = (0, 1, 19, 20, 23, 40, 95)
SERIES = ("up", "down", "wind_kwh", "base_kwh", "base_kvarh", "pv_kwh")
DAYS = 1500


@pytest.fixture(scope="module")
def config() -> EnvConfig:
    return config_files.load(EnvConfig, "street", "env")


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

    there, loaded = actual.arrival <= slot, actual.ready <= slot
    later = torch.maximum(other.arrival, torch.tensor(slot + 1))
    return replace(
        actual,
        **{name: splice(vars(actual)[name], vars(other)[name], slot) for name in ("wind_kwh", "base_kwh", "pv_kwh")},
        base_kvarh=splice(actual.base_kvarh, other.base_kvarh, slot),
        up=splice(actual.up, actual.spot + (other.up - other.spot), slot),
        down=splice(actual.down, actual.spot + (other.down - other.spot), slot),
        temperature=splice(actual.temperature, other.temperature, slot + 1),
        ambient=splice(actual.ambient, other.ambient, slot + 1),
        cop=splice(actual.cop, other.cop, slot + 1),
        arrival=torch.where(there, actual.arrival, later),
        departure=torch.where(there, actual.departure, torch.maximum(other.departure, later)),
        need_kwh=torch.where(there, actual.need_kwh, other.need_kwh),
        ready=torch.where(loaded, actual.ready, torch.maximum(other.ready, torch.tensor(slot + 1))),
    )


@pytest.mark.parametrize("slot", SLOTS)
def test_another_future_leaves_the_forecast_unchanged(
    slot: int, episode: tuple[Scenario, Scenario], config: EnvConfig
) -> None:
    actual, expected = few(episode)
    other = batch.take_rows(actual, torch.arange(24).roll(1))
    changed = with_another_future(actual, other, slot)
    if slot < 95:
        assert not batch.equal(actual, changed)
    assert batch.equal(forecast(actual, expected, slot, config), forecast(changed, expected, slot, config))
    assert batch.equal(expect_slot(actual, expected, slot, config), expect_slot(changed, expected, slot, config))


@pytest.mark.parametrize("slot", SLOTS)
def test_the_past_is_as_it_was(slot: int, episode: tuple[Scenario, Scenario], config: EnvConfig) -> None:
    actual, expected = few(episode)
    guess = forecast(actual, expected, slot, config).scenario
    for name in SERIES:
        assert torch.equal(vars(guess)[name][:, :slot], vars(actual)[name][:, :slot])
    for name in ("temperature", "ambient", "cop"):
        assert torch.equal(vars(guess)[name][:, : slot + 1], vars(actual)[name][:, : slot + 1])
    assert torch.equal(guess.spot, actual.spot)


@pytest.mark.parametrize("slot", SLOTS)
def test_one_slot_is_the_column_of_the_whole(slot: int, episode: tuple[Scenario, Scenario], config: EnvConfig) -> None:
    actual, expected = few(episode)
    whole, column = forecast(actual, expected, slot, config).scenario, expect_slot(actual, expected, slot, config)
    for name in ("spot", *SERIES):
        assert torch.equal(vars(column)[name], vars(whole)[name][:, slot])


@pytest.mark.parametrize("slot", SLOTS)
def test_bounds_of_nature_hold(slot: int, episode: tuple[Scenario, Scenario], config: EnvConfig) -> None:
    actual, expected = few(episode)
    guess = forecast(actual, expected, slot, config).scenario
    for energy in (guess.base_kwh, guess.pv_kwh, guess.wind_kwh):
        assert (energy >= 0.0).all()
    assert (guess.pv_kwh[:, slot:][expected.pv_kwh[:, slot:] == 0.0] == 0.0).all()
    assert (guess.up >= guess.spot).all() and (guess.spot >= guess.down).all()
    ambient, cop = weather.surroundings(guess.temperature, config.devices)
    assert torch.equal(guess.cop, cop) and torch.equal(guess.ambient, ambient)
    assert (guess.arrival <= guess.departure).all() and (guess.departure <= 96).all()
    room = (guess.departure - guess.arrival)[:, :13] * config.devices.ev.power_kw * 0.25
    assert (guess.need_kwh[:, :13] <= room + 1e-9).all()
    assert (guess.ready <= guess.latest).all()


def test_a_known_error_fades_by_hand(episode: tuple[Scenario, Scenario], config: EnvConfig) -> None:
    """Temperature is known of slot 40, so at slot 48 it has faded for 8 slots: exp(-2 h / 12 h) of it is left."""
    actual, expected = few(episode)
    guess = forecast(actual, expected, 40, config).scenario
    left = math.exp(-2.0 / config.forecast.temperature.memory_h)
    error = (actual.temperature - expected.temperature)[:, 40]
    torch.testing.assert_close(guess.temperature[:, 48] - expected.temperature[:, 48], left * error)
    left = math.exp(-0.25 * 9 / config.forecast.load.memory_h)
    error = (actual.base_kwh - expected.base_kwh)[:, 39]
    by_hand = (expected.base_kwh[:, 48] + left * error).clamp(min=0.0)
    torch.testing.assert_close(guess.base_kwh[:, 48], by_hand)


def test_an_imbalance_price_is_known_for_the_rest_of_its_hour(
    episode: tuple[Scenario, Scenario], config: EnvConfig
) -> None:
    actual, expected = few(episode)
    torch.testing.assert_close(forecast(actual, expected, 41, config).scenario.up[:, 41:44], actual.up[:, 41:44])
    first = expect_slot(actual, expected, 40, config)
    assert not torch.allclose(first.up, actual.up[:, 40])


def of_all_houses(series: Tensor) -> Tensor:
    return series.sum(dim=2) if series.dim() == 3 else series


@pytest.mark.parametrize("name", ["base_kwh", "wind_kwh", "temperature", "up", "down"])
def test_errors_grow_with_lead_time_towards_the_day_ahead_error(
    name: str, episode: tuple[Scenario, Scenario], config: EnvConfig
) -> None:
    actual, expected = (of_all_houses(vars(each)[name]) for each in episode)
    guess = of_all_houses(vars(forecast(*episode, 26, config).scenario)[name])
    leads = [1, 5, 11, 60]
    wide = [float((actual - guess)[:, 26 + lead].std() / (actual - expected)[:, 26 + lead].std()) for lead in leads]
    assert all(near < far + 0.01 for near, far in itertools.pairwise(wide))
    assert wide[0] < 0.85 and wide[-1] == pytest.approx(1.0, abs=0.1)


def test_the_solar_forecast_beats_the_day_ahead_one_in_the_morning(
    episode: tuple[Scenario, Scenario], config: EnvConfig
) -> None:
    """At 10:00, slot 88, for the next half hour and for noon."""
    actual, expected = (each.pv_kwh.sum(dim=2) for each in episode)
    guess = forecast(*episode, 88, config).scenario.pv_kwh.sum(dim=2)
    ratio = (actual - guess)[:, 88:].std(dim=0) / (actual - expected)[:, 88:].std(dim=0)
    assert ratio[1] < 0.7 and ratio[1] < ratio[7] < 1.0


@pytest.mark.parametrize("slot", [1, 26, 60])
def test_forecasts_are_unbiased(slot: int, episode: tuple[Scenario, Scenario], config: EnvConfig) -> None:
    actual, guess = episode[0], forecast(*episode, slot, config).scenario
    for name, scale in (("base_kwh", 6.0), ("wind_kwh", 6.0), ("temperature", 5.0), ("up", 0.1), ("down", 0.1)):
        error = of_all_houses(vars(actual)[name] - vars(guess)[name])[:, slot:]
        assert float(error.mean()) == pytest.approx(0.0, abs=0.025 * scale), name


def test_sessions_are_known_once_plugged_in_and_overdue_ones_come_next_slot(
    episode: tuple[Scenario, Scenario], config: EnvConfig
) -> None:
    actual, expected = few(episode)
    for slot in (10, 20, 23, 90):
        guess, there = forecast(actual, expected, slot, config).scenario, actual.arrival <= slot
        for name in ("arrival", "departure", "need_kwh"):
            assert torch.equal(vars(guess)[name][there], vars(actual)[name][there])
        assert (guess.arrival[~there] == max(20, slot + 1)).all()
        begun = actual.ready <= slot
        assert torch.equal(guess.ready[begun], actual.ready[begun])
        assert (guess.ready[~begun] == max(30, slot + 1)).all()


def test_a_late_vehicle_stays_as_long_as_it_needs_and_asks_for_what_fits(config: EnvConfig) -> None:
    """12 kWh at 2.75 kWh a slot are 5 slots: from 91 on until 96; from 94 on only 2 slots are left, 5.5 kWh."""
    actual, expected = street.make(config).draw([0])
    absent = replace(actual, arrival=torch.full_like(actual.arrival, 95))
    late, last = (forecast(absent, expected, slot, config).scenario for slot in (90, 93))
    assert (int(late.arrival[0, 0]), int(late.departure[0, 0])) == (91, 96)
    assert late.need_kwh[0, 0].item() == pytest.approx(11.972, abs=1e-3)
    assert (int(last.arrival[0, 0]), int(last.departure[0, 0])) == (94, 96)
    assert last.need_kwh[0, 0].item() == pytest.approx(5.5)


def test_float32_stays_float32_and_a_row_stays_alone(episode: tuple[Scenario, Scenario], config: EnvConfig) -> None:
    actual, expected = (batch.to(each, dtype=torch.float32) for each in few(episode))
    guess = forecast(actual, expected, 30, config).scenario
    assert {t.dtype for t in vars(guess).values()} == {torch.float32, torch.int64}
    row = torch.tensor([3])
    alone = forecast(batch.take_rows(actual, row), batch.take_rows(expected, row), 30, config).scenario
    assert batch.equal(alone, batch.take_rows(guess, row))
