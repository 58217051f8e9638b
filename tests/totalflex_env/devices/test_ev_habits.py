"""Sessions have the statistics of Trondheim (Sørensen et al. 2021): when, how long, how much, how often."""

from __future__ import annotations

import numpy as np
import pytest

from totalflex_env.devices import ev_habits
from totalflex_env.devices.ev import EvConfig
from totalflex_env.dice import Dice

MEASURED_START = np.array(
    [
        [0.017, 0.007, 0.005, 0.003, 0.001, 0.001, 0.002, 0.010, 0.013, 0.010, 0.017, 0.026],
        [0.028, 0.043, 0.059, 0.100, 0.141, 0.091, 0.089, 0.101, 0.091, 0.061, 0.053, 0.030],
    ]
).ravel()


@pytest.fixture(scope="module")
def sessions() -> ev_habits.EvSessions:
    return ev_habits.EvSessions(*(part[0] for part in vars(ev_habits.draw(Dice.of([1]), 40_000)).values()))


def test_starts_have_their_two_peaks(sessions: ev_habits.EvSessions) -> None:
    found = np.histogram(sessions.arrival_hour % 24.0, 24, (0.0, 24.0))[0] / len(sessions.arrival_hour)
    np.testing.assert_allclose(found, MEASURED_START, atol=0.015)
    assert found.argmax() == 16 and found[19] > found[17]


def test_energies(sessions: ev_habits.EvSessions) -> None:
    """Measured: mean 13.5, median 10.1, 10 % 3.1, 90 % 27 kWh; logarithm 2.20 with deviation 1.08."""
    need = sessions.need_kwh
    assert need.mean() == pytest.approx(13.5, rel=0.15)
    assert np.median(need) == pytest.approx(10.1, rel=0.1)
    np.testing.assert_allclose(np.quantile(need, [0.1, 0.9]), [3.1, 27.4], rtol=0.25)
    assert np.log(need).mean() == pytest.approx(2.20, abs=0.08)
    assert np.log(need).std() == pytest.approx(1.08, abs=0.15)


def test_durations(sessions: ev_habits.EvSessions) -> None:
    """Measured: median 10.5 h, quartiles 3.0 and 15.4 h; correlation with the logarithm of the energy 0.26."""
    hours = sessions.departure_hour - sessions.arrival_hour
    assert hours.min() > 0.0
    np.testing.assert_allclose(np.quantile(hours, [0.25, 0.5, 0.75]), [3.0, 10.5, 15.4], rtol=0.2)
    found = np.corrcoef(np.clip(hours, 0.0, 30.0), np.log(sessions.need_kwh))[0, 1]
    assert found == pytest.approx(0.26, abs=0.25)


def test_a_vehicle_comes_every_other_day(sessions: ev_habits.EvSessions) -> None:
    """Measured: 5.8 kWh per vehicle and day."""
    assert ev_habits.SESSIONS_PER_DAY * sessions.need_kwh.mean() == pytest.approx(5.8, rel=0.25)


def test_what_is_expected_of_vehicles_is_what_is_drawn(sessions: ev_habits.EvSessions) -> None:
    ev = EvConfig(habits="trondheim", count=1)
    assert ev.arrival_hour == pytest.approx(sessions.arrival_hour.mean(), abs=0.1)
    assert ev.departure_first_hour == pytest.approx(np.median(sessions.departure_hour), abs=0.1)
    assert ev.mean_need_kwh == pytest.approx(sessions.need_kwh.mean(), rel=0.02)
    assert EvConfig(habits="trondheim", plugged_share=1.0).plugged_share == 1.0
    assert EvConfig.model_validate(ev.model_dump()) == ev


def test_the_seed_alone_decides() -> None:
    first, second = (ev_habits.draw(Dice.of([5]), 3, 4) for _ in range(2))
    np.testing.assert_array_equal(first.need_kwh, second.need_kwh)
    assert first.arrival_hour.shape == (1, 3, 4)
