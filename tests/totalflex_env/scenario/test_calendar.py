"""Every slot has its local time."""

from __future__ import annotations

from datetime import datetime

import pytest

from totalflex_env.scenario.calendar import calendar


def test_days_hours_and_weekdays_are_counted() -> None:
    """Noon of 29 February 2024, a Thursday, and a Sunday's last quarter-hour."""
    time = calendar([datetime(2024, 2, 29, 12), datetime(2023, 1, 1, 23, 45)], 96)
    assert time.slots == 96
    assert time.day[0, 0] == 59.5 and time.day[0, -1] == pytest.approx(60.5 - 1 / 96)
    assert time.day[1, 1] == pytest.approx(1.0)
    assert time.hour[0, [0, 1, 47, 48, 95]].tolist() == [12.0, 12.25, 23.75, 0.0, 11.75]
    assert time.hour[1, :2].tolist() == [23.75, 0.0]
    assert time.weekday[0, [0, 47, 48, 95]].tolist() == [3, 3, 4, 4]
    assert time.weekday[1, :2].tolist() == [6, 0]


def test_long_episodes_come_round() -> None:
    time = calendar([datetime(2023, 1, 1, 6)], 15 * 96)
    assert time.weekday[0, ::96].tolist() == [(6 + day) % 7 for day in range(15)]
    assert (time.hour[0, ::96] == 6.0).all()
