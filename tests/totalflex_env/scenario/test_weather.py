"""Temperature and wind have the statistics of Danish measurements; efficiency is the published polynomial."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from totalflex_env.config import DevicesConfig, FreezerConfig, HeatPumpConfig
from totalflex_env.scenario import weather


def test_a_year_of_temperature_is_that_of_aalborg() -> None:
    """Measured 2018-19: mean 8.9, standard deviation 7.0 degrees."""
    days = [weather.temperature(np.random.default_rng(day), 96 * (day % 365), 96) for day in range(365 * 3)]
    values = np.concatenate(days)
    assert values.mean() == pytest.approx(8.9, abs=0.4)
    assert values.std() == pytest.approx(7.0, abs=0.4)
    february = np.concatenate(days[31:59])
    assert february.mean() == pytest.approx(1.0, abs=2.5)


def test_afternoons_are_warm_and_summer_swings_more() -> None:
    def mean_day(first_day: int) -> np.ndarray:
        days = [weather.temperature(np.random.default_rng(seed), 96 * first_day, 96) for seed in range(2000)]
        return np.mean(days, axis=0)

    winter, summer = mean_day(15), mean_day(200)
    assert 13 <= winter.argmax() / 4 <= 16
    assert np.ptp(winter) == pytest.approx(2.2, abs=0.5)
    assert np.ptp(summer) == pytest.approx(7.6, abs=0.6)


def test_wind_has_the_distribution_of_a_danish_park() -> None:
    """Measured in winter: mean 0.30, deviation 0.27, quantiles 25 and 75 %: 0.06 and 0.50; 0.76 left after 6 h."""
    share = np.array([weather.wind(np.random.default_rng(seed), 96) for seed in range(2000)])
    assert share.min() >= 0.0 and share.max() <= 1.0
    assert share.mean() == pytest.approx(0.30, abs=0.02)
    assert share.std() == pytest.approx(0.27, abs=0.02)
    np.testing.assert_allclose(np.quantile(share, [0.25, 0.75]), [0.06, 0.50], atol=0.03)
    deviation = share - share.mean()
    assert (deviation[:, 24:] * deviation[:, :-24]).mean() / share.var() == pytest.approx(0.76, abs=0.08)
    assert weather.standardised(share).mean() == pytest.approx(0.0, abs=0.06)
    assert weather.standardised(share).std() == pytest.approx(1.0, abs=0.05)


def test_coefficient_of_performance_by_hand() -> None:
    """Lift 35 K: 0.85 (6.08 - 3.2935 + 0.5684) = 2.8517; colder is worse, and it is never below 1."""
    cop = weather.coefficient_of_performance(torch.linspace(5.0, -60.0, 66, dtype=torch.float64), 40.0)
    assert cop[0].item() == pytest.approx(2.8517, abs=1e-3)
    assert (cop.diff() < 0.0).all() and cop.min() > 1.0


def test_heat_pumps_feel_the_weather_and_freezers_the_room() -> None:
    devices = DevicesConfig(heat_pump=HeatPumpConfig(count=2), freezer=FreezerConfig(count=1))
    ambient, cop = weather.surroundings(torch.tensor([[5.0, -5.0]], dtype=torch.float64), devices)
    assert ambient.tolist() == [[[5.0, 5.0, 20.0], [-5.0, -5.0, 20.0]]]
    assert cop.shape == (1, 2, 3)
    assert (cop[0, 0, :2] > cop[0, 1, :2]).all() and (cop[..., 2] == 1.6).all()
