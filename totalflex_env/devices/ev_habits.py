"""When people plug in their vehicles at home, as 78 users in Trondheim did in 2018 to 2020.

Fitted to 4,951 sessions of Sørensen et al., "Residential electric vehicle charging datasets from apartment buildings",
Data in Brief 2021 (CC BY 4.0), which describes 6,878 of 97 users. Six in ten stay the night: their arrivals have two
peaks, after work and after the evening's last errand, and neither departure nor energy depends on the arrival. The
others are short, and the shorter they are the less they charge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from totalflex_env.dice import Array, Dice

SESSIONS_PER_DAY = 0.47
"""Mean number of sessions of a vehicle and day; the median vehicle comes every third day."""

EXPECTED = {
    "arrival_hour": 19.5,
    "departure_first_hour": 31.5,
    "departure_last_hour": 31.5,
    "need_median_kwh": 10.0,
    "need_log_spread": 0.88,
    "need_max_kwh": 80.0,
    "plugged_share": SESSIONS_PER_DAY,
}
"""Settings of a vehicle (`EvConfig`) that say what is expected of such sessions: their mean arrival and need, their
median departure, the largest need."""

OVERNIGHT_SHARE = 0.57

OVERNIGHT_ARRIVAL = np.array([0.008, 0.017, 0.031, 0.058, 0.130, 0.092, 0.112, 0.143, 0.143, 0.108, 0.100, 0.058])
"""Share of overnight sessions that begin in each local hour from 12 to 23."""

OVERNIGHT_DEPARTURE = np.array(
    [
        [0.015, 0.009, 0.002, 0.002, 0.004, 0.004, 0.109, 0.316, 0.121, 0.082, 0.075, 0.078],
        [0.056, 0.041, 0.029, 0.021, 0.015, 0.015, 0.006, 0.002, 0.000, 0.000, 0.000, 0.000],
    ]
).ravel()
"""Share of overnight sessions that end in each local hour of the next day."""

OVERNIGHT_LOG_KWH = (2.52, 0.80)
"""Mean and standard deviation of the logarithm of the energy in kWh."""

SHORT_ARRIVAL = np.array(
    [
        [0.046, 0.065, 0.087, 0.142, 0.157, 0.083, 0.065, 0.058, 0.033, 0.009, 0.006, 0.001],
        [0.039, 0.014, 0.011, 0.007, 0.003, 0.002, 0.004, 0.023, 0.030, 0.021, 0.036, 0.056],
    ]
).ravel()
"""Share of short sessions that begin in each local hour from 12 to 35, 24 being midnight."""

SHORT_LOG_HOURS = (0.72, 1.22)
SHORT_LOG_KWH = (1.90, 1.05)
SHORT_CORRELATION = 0.86
"""Of the logarithms of duration and energy. Measured: 1.85 and 1.27, with a shorter tail than a lognormal one has."""


@dataclass(frozen=True)
class EvSessions:
    """Sessions of any shape."""

    arrival_hour: Array  # local, 12 to 36, of the day on which the episode begins
    departure_hour: Array  # local, after the arrival; 24 and more is the next day
    need_kwh: Array


def draw(dice: Dice, *shape: int) -> EvSessions:
    """Draw independent sessions [B, *shape]."""
    stays = dice.uniform(*shape) < OVERNIGHT_SHARE
    evening = 12.0 + _hour(dice, OVERNIGHT_ARRIVAL, shape)
    morning = 24.0 + _hour(dice, OVERNIGHT_DEPARTURE, shape)
    early = 12.0 + _hour(dice, SHORT_ARRIVAL, shape)
    length, other, amount = (dice.normal(*shape) for _ in range(3))
    hours = np.exp(SHORT_LOG_HOURS[0] + SHORT_LOG_HOURS[1] * length)
    of_length = SHORT_CORRELATION * length + np.sqrt(1.0 - SHORT_CORRELATION**2) * other
    return EvSessions(
        arrival_hour=np.where(stays, evening, early),
        departure_hour=np.where(stays, morning, early + hours),
        need_kwh=np.exp(
            np.where(
                stays,
                OVERNIGHT_LOG_KWH[0] + OVERNIGHT_LOG_KWH[1] * amount,
                SHORT_LOG_KWH[0] + SHORT_LOG_KWH[1] * of_length,
            )
        ),
    )


def _hour(dice: Dice, share: Array, shape: tuple[int, ...]) -> Array:
    """A time within one of consecutive hours that have these shares, evenly within the hour."""
    ends = np.cumsum(share) / share.sum()
    return np.asarray(np.searchsorted(ends, dice.uniform(*shape), side="right") + dice.uniform(*shape))
