"""The sun stands where it should, and a roof makes of it what Danish roofs make."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from totalflex_env.dice import Dice
from totalflex_env.scenario import sun, weather
from totalflex_env.scenario.calendar import calendar

YEAR = np.arange(35_040) / 96.0


def test_heights_at_noon_by_hand() -> None:
    """At 56° north: 90 - 56 + 23.45 = 57.4° on midsummer, 90 - 56 - 23.45 = 10.5° on midwinter, 34° on the equinox."""
    noon = sun.SOLAR_NOON_HOUR / 24.0
    heights = [
        np.degrees(np.arcsin(sun.height(np.array(day + noon + dst / 24.0)))) for day, dst in ((171, 1), (354, 0))
    ]
    np.testing.assert_allclose(heights, [57.4, 10.5], atol=0.1)
    equinox = float(np.degrees(np.arcsin(sun.height(np.array(79 + noon)))))
    assert equinox == pytest.approx(34.0, abs=1.5)


def test_days_are_long_in_summer_and_noon_is_at_its_hour() -> None:
    up = (sun.height(YEAR) > 0.0).reshape(365, 96).sum(axis=1) / 4.0
    assert up[171] == pytest.approx(17.4, abs=0.3) and up[354] == pytest.approx(6.7, abs=0.3)
    by_slot = sun.clear_sky(YEAR).reshape(365, 96)
    assert by_slot[10].argmax() / 4.0 == pytest.approx(12.35, abs=0.3)
    assert by_slot[171].argmax() / 4.0 == pytest.approx(13.35, abs=0.3)  # by the clock, in summer


def test_a_clear_sky_is_darker_than_space_and_dark_at_night() -> None:
    clear = sun.clear_sky(YEAR)
    assert clear.min() == 0.0 and 0.75 < clear.max() < 1.0
    assert (clear[sun.height(YEAR) <= 0.0] == 0.0).all()


def test_a_roof_gains_in_winter_and_yields_as_danish_roofs_do() -> None:
    """Energy of a horizontal plane 944 to 1050 kWh/m² (test reference years 1 to 3); of a roof 850 to 1000 kWh/kW."""
    years = weather.draw(Dice.of(range(3)), calendar([datetime(2023, 1, 1)] * 3, 35_040)).irradiance
    ground, roof = years.mean(axis=0), sun.power(years, YEAR).mean(axis=0)
    assert ground.sum() / 4.0 == pytest.approx(995.0, rel=0.06)
    assert 850.0 < roof.sum() / 4.0 < 1000.0
    january, june = slice(0, 31 * 96), slice(151 * 96, 181 * 96)
    assert roof[january].sum() > 1.02 * ground[january].sum() * sun.PERFORMANCE
    assert roof[june].sum() < 1.1 * ground[june].sum() * sun.PERFORMANCE
    assert roof.min() == 0.0 and sun.power(years, YEAR).max() <= 1.0
