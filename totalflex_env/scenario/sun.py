"""Where the sun stands over Denmark, what reaches the ground of it, and what a roof makes of that."""

from __future__ import annotations

import numpy as np

from totalflex_env.dice import Array

LATITUDE = np.radians(56.0)
SOLAR_NOON_HOUR = 12.35  # Central European time at 9.75 degrees east
_SUMMER_TIME = (86.0, 300.0)  # days of the year, the last Sundays of March and October to within three days

ROOF_TILT = np.radians(35.0)  # to the south
PERFORMANCE = 0.85
"""Share of its rating that a solar plant yields at 1 kW/m² on its plane: inverter, temperature, dirt, mismatch."""


def height(day: Array) -> Array:
    """Sine of the sun's height, negative at night; `day` counts days from 1 January by the clock, any shape.

    Declination by Cooper (1969): 23.45° sin(2 pi (284 + n) / 365).
    """
    tilt, hour = _declination(day), _hour_angle(day)
    return np.asarray(np.sin(LATITUDE) * np.sin(tilt) + np.cos(LATITUDE) * np.cos(tilt) * np.cos(hour))


def clear_sky(day: Array) -> Array:
    """Irradiance of a horizontal plane under a clear sky in kW/m² (Haurwitz 1945: 1.098 s exp(-0.057 / s))."""
    above = height(day)
    sine = np.maximum(above, 1e-3)
    return np.where(above > 1e-3, 1.098 * sine * np.exp(-0.057 / sine), 0.0)


def on_roof(irradiance: Array, day: Array) -> Array:
    """Irradiance of a roof that faces south in kW/m², from that of the horizontal plane; any shape.

    The diffuse share is that of Erbs et al. (1982), the diffuse part isotropic, the ground reflects a fifth.
    """
    above = height(day)
    sine = np.maximum(above, 0.05)  # near the horizon the beam's ratio would grow without bound
    clearness = np.clip(irradiance / (1.367 * sine), 0.0, 1.0)
    polynomial = 0.9511 + clearness * (-0.1604 + clearness * (4.388 + clearness * (-16.638 + clearness * 12.336)))
    share = np.where(clearness <= 0.22, 1.0 - 0.09 * clearness, np.where(clearness <= 0.8, polynomial, 0.165))
    beam = np.maximum(_facing(day), 0.0) / sine
    sky, ground = (1.0 + np.cos(ROOF_TILT)) / 2.0, 0.2 * (1.0 - np.cos(ROOF_TILT)) / 2.0
    return np.where(above > 0.0, irradiance * ((1.0 - share) * beam + share * sky + ground), 0.0)


def power(irradiance: Array, day: Array) -> Array:
    """Output of a solar plant on a roof as a share of its rating, at most 1; any shape."""
    return np.minimum(PERFORMANCE * on_roof(irradiance, day), 1.0)


def _facing(day: Array) -> Array:
    """Cosine of the angle between the sun and the normal of a roof that faces south."""
    tilt, hour, slope = _declination(day), _hour_angle(day), LATITUDE - ROOF_TILT
    return np.asarray(np.sin(tilt) * np.sin(slope) + np.cos(tilt) * np.cos(slope) * np.cos(hour))


def _declination(day: Array) -> Array:
    return np.asarray(np.radians(23.45) * np.sin(2.0 * np.pi * (284.0 + np.floor(day) + 1.0) / 365.0))


def _hour_angle(day: Array) -> Array:
    first, last = _SUMMER_TIME
    of_year = day % 365.25
    noon = SOLAR_NOON_HOUR + ((of_year >= first) & (of_year < last))
    return np.asarray(2.0 * np.pi * (day % 1.0 - noon / 24.0))
