"""Homes consume what they are said to, peak on their own, and share the weather."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from totalflex_env.config import EnvConfig
from totalflex_env.data_config import SyntheticConfig
from totalflex_env.dice import Dice
from totalflex_env.scenario import households, weather
from totalflex_env.scenario.calendar import calendar

CONFIG = EnvConfig(name="homes")
AUTUMN, WINTER_SLOTS = datetime(2023, 10, 1), 182 * 96
HOMES = 100


def velander(yearly_kwh: float, homes: int) -> float:
    """Highest power of a home among others in kW, near the upper end of the source in docs/data.md."""
    return float(0.00033 * yearly_kwh + 0.05 * np.sqrt(yearly_kwh / homes))


@pytest.fixture(scope="module")
def winter() -> np.ndarray:
    """Power [T, homes] kW of a winter."""
    mean, pv = households.sizes(CONFIG, HOMES)
    dice, time = Dice.of([7]), calendar([AUTUMN], WINTER_SLOTS)
    return 4.0 * households.draw(dice, time, weather.draw(dice, time), mean, pv)[0][0]


def peak_of(winter: np.ndarray, homes: int) -> float:
    """Mean over groups of homes of their highest quarter-hour, per home."""
    groups = [winter[:, first : first + homes].sum(axis=1).max() / homes for first in range(0, HOMES, homes)]
    return float(np.mean(groups))


@pytest.mark.parametrize("homes", [1, 2, 5, 10, 20, 50, 100])
def test_peaks_coincide_as_velander_has_it(homes: int, winter: np.ndarray) -> None:
    """Within 20 % for groups of five and more, 40 % for one or two homes: an hour's formula against quarter-hours."""
    assert peak_of(winter, homes) == pytest.approx(velander(4000.0, homes), rel=0.2 if homes > 2 else 0.4)


def test_many_homes_need_a_quarter_of_what_they_need_apart(winter: np.ndarray) -> None:
    assert 0.2 < peak_of(winter, 100) / peak_of(winter, 1) < 0.35


def test_homes_are_loosely_alike(winter: np.ndarray) -> None:
    between = np.corrcoef(winter[:, :30].T)[~np.eye(30, dtype=bool)].mean()
    assert 0.2 < between < 0.6


def test_a_year_consumes_what_is_configured() -> None:
    mean, pv = households.sizes(CONFIG, 60)
    dice, time = Dice.of([1]), calendar([datetime(2023, 1, 1)], 35_040)
    base, produced = (part[0] for part in households.draw(dice, time, weather.draw(dice, time), mean, pv))
    assert base.sum(axis=0) == pytest.approx(mean * 35_064, rel=0.03)
    assert mean.sum() * 35_064 / 60 == pytest.approx(4000.0, rel=0.15)
    assert (pv > 0.0).sum() == 12
    np.testing.assert_allclose(produced[:, pv > 0.0].sum(axis=0) / 6.0, 920.0, rtol=0.08)  # kWh per kW and year
    assert (produced[:, pv == 0.0] == 0.0).all() and base.min() > 0.0


def test_evenings_and_cold_days_need_more() -> None:
    flat = weather.Weather(*(np.full((1, 96), value) for value in (1.0, 0.3, 0.0)))
    colder = weather.Weather(*(np.full((1, 96), value) for value in (-9.0, 0.3, 0.0)))
    mean, time = np.ones(400), calendar([datetime(2023, 1, 10)], 96)
    days = [households.draw(Dice.of([3]), time, each, mean, mean)[0][0].sum(axis=1) for each in (flat, colder)]
    assert days[0].argmax() / 4 == pytest.approx(18.0, abs=1.5) and days[0].argmin() / 4 < 6
    assert days[1].mean() / days[0].mean() == pytest.approx(1.06, abs=0.005)


def test_who_lives_where_is_of_the_configuration_alone() -> None:
    mean, _ = households.sizes(CONFIG, 10)
    np.testing.assert_array_equal(mean, households.sizes(CONFIG, 10)[0])
    other = CONFIG.model_copy(update={"synthetic": SyntheticConfig(houses_seed=1, pv_share=1.0)})
    assert (households.sizes(other, 10)[0] != mean).all() and (households.sizes(other, 10)[1] > 0.0).all()
