"""Temperature, wind and sunshine have the statistics of Danish measurements, and come together as they do there."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from totalflex_env.dice import Dice
from totalflex_env.scenario import sun, weather
from totalflex_env.scenario.calendar import calendar

FIRST = datetime(2023, 1, 1)
YEARS = 6
TIME = calendar([FIRST] * YEARS, 35_040)
DAY = TIME.day[0]
WINTER = weather.summer(DAY) < 0.0


@pytest.fixture(scope="module")
def years() -> weather.Weather:
    return weather.draw(Dice.of(range(YEARS)), TIME)


def lagged(series: np.ndarray, hours: int) -> float:
    return float(np.mean([np.corrcoef(row[: -4 * hours], row[4 * hours :])[0, 1] for row in series]))


def test_temperature_is_that_of_aalborg(years: weather.Weather) -> None:
    """Measured 2018-19: mean 8.9, deviation 7.0; hour, day and week later in 2018: 0.994, 0.943, 0.848."""
    warmth = years.temperature
    assert warmth.mean() == pytest.approx(8.9, abs=0.4)
    assert warmth.std() == pytest.approx(7.0, abs=0.4)
    assert -25.0 < warmth.min() < -5.0 and 25.0 < warmth.max() < 38.0
    for hours, measured in ((1, 0.994), (24, 0.943), (168, 0.848)):
        assert lagged(warmth, hours) == pytest.approx(measured, abs=0.05)
    rest = warmth - weather.expected_temperature(DAY)
    assert rest.std() == pytest.approx(3.65, abs=0.2)
    assert lagged(rest, 48) == pytest.approx(0.57, abs=0.08)  # measured; a week later 0.33
    assert lagged(rest, 168) == pytest.approx(0.33, abs=0.13)


def test_afternoons_are_warm_and_summer_swings_more() -> None:
    def mean_day(first_day: int) -> np.ndarray:
        day = first_day + np.arange(96) / 96.0
        return weather.expected_temperature(day)

    winter, summer = mean_day(15), mean_day(200)
    assert 13 <= winter.argmax() / 4 <= 16
    assert np.ptp(winter) == pytest.approx(2.2, abs=0.5)
    assert np.ptp(summer) == pytest.approx(7.6, abs=0.6)


@pytest.mark.parametrize(
    ("season", "mean", "deviation", "quantiles"),
    [(WINTER, 0.30, 0.276, [0.05, 0.23, 0.51, 0.84]), (~WINTER, 0.182, 0.19, [0.04, 0.11, 0.28, 0.585])],
)
def test_wind_is_that_of_a_danish_park(
    season: np.ndarray, mean: float, deviation: float, quantiles: list[float], years: weather.Weather
) -> None:
    """Measured, one Jutland municipality 2023-04 to 2025-02: October to March, April to September."""
    share = years.wind[:, season]
    assert share.min() >= 0.0 and share.max() <= 1.0
    assert share.mean() == pytest.approx(mean, abs=0.025)
    assert share.std() == pytest.approx(deviation, abs=0.03)
    np.testing.assert_allclose(np.quantile(share, [0.25, 0.5, 0.75, 0.95]), quantiles, atol=0.1)
    found = weather.windiness(share, DAY[season])
    assert found.mean() == pytest.approx(0.0, abs=0.08) and found.std() == pytest.approx(1.0, abs=0.08)


def test_wind_remembers(years: weather.Weather) -> None:
    """Measured 2024: 0.974 after an hour, 0.75 after 6, 0.52 after 12, 0.29 after 24."""
    share = years.wind
    for hours, measured in ((1, 0.974), (6, 0.75), (12, 0.52), (24, 0.29)):
        assert lagged(share, hours) == pytest.approx(measured, abs=0.06)


def test_what_drives_the_wind_is_found_again(years: weather.Weather) -> None:
    first = weather.Weather(*(part[:1] for part in vars(years).values()))
    drift = weather.drift_of(first.wind, DAY)
    assert abs(drift.mean()) < 0.15 and drift.std() == pytest.approx(1.0, abs=0.1)
    again = weather.draw(Dice.of([0]), calendar([FIRST], 35_040), drift)
    np.testing.assert_allclose(again.wind, first.wind, atol=2e-3)
    np.testing.assert_allclose(again.temperature, first.temperature, atol=1.0)  # calm is cut off


def test_sunshine_is_that_of_denmark(years: weather.Weather) -> None:
    """Measured, DK1 May to July: mean 0.68 of a clear sky, deviation 0.29, quartiles 0.48, 0.76, 0.93."""
    clear = sun.clear_sky(DAY)
    bright = (clear > 0.3) & (DAY > 120) & (DAY < 212)
    share = years.irradiance[:, bright] / clear[bright]
    assert share.mean() == pytest.approx(0.68, abs=0.04)
    assert share.std() == pytest.approx(0.29, abs=0.05)
    np.testing.assert_allclose(np.quantile(share, [0.25, 0.5, 0.75]), [0.48, 0.76, 0.93], atol=0.06)
    assert (years.irradiance[:, clear == 0.0] == 0.0).all()


def daily(series: np.ndarray) -> np.ndarray:
    return series.reshape(len(series), 365, 96).mean(axis=2)


@pytest.mark.parametrize(
    ("days", "warm_wind", "warm_sun"),
    [(np.r_[0:59, 334:365], (0.28, 0.63), (-0.33, -0.06)), (np.r_[151:243], (-0.43, -0.24), (0.33, 0.64))],
)
def test_weather_comes_together(
    days: np.ndarray, warm_wind: tuple[float, float], warm_sun: tuple[float, float], years: weather.Weather
) -> None:
    """Daily correlations lie within those of three test reference years to 0.1: winter, then summer."""
    warm = daily(years.temperature - weather.expected_temperature(DAY))[:, days].ravel()
    wind = daily(weather.windiness(years.wind, DAY))[:, days].ravel()
    light = daily(years.irradiance) / daily(sun.clear_sky(DAY)[None])
    bright = light[:, days].ravel()
    assert warm_wind[0] - 0.1 < np.corrcoef(warm, wind)[0, 1] < warm_wind[1] + 0.1
    assert warm_sun[0] - 0.1 < np.corrcoef(warm, bright)[0, 1] < warm_sun[1] + 0.1
    assert np.corrcoef(wind, bright)[0, 1] == pytest.approx(-0.15, abs=0.1)
