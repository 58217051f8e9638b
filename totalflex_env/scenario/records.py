"""The files of recorded days, read once and brought to quarter-hours."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from totalflex_env.config import EnvConfig
from totalflex_env.data_config import RecordedConfig
from totalflex_env.errors import ConfigError, DataError
from totalflex_env.recorded import charging, clock, energi_data_service, profiles, weather_files
from totalflex_env.recorded.series import Fill, Series, to_quarter_hours

_LOGGER = logging.getLogger(__name__)

_NOON_H = 12.0
_TYPICAL_YEAR = 2023  # any that is no leap year


@dataclass(frozen=True)
class Records:
    """What files bring, in units of the engine, at quarter-hours in UTC; None is without a file."""

    spot: Series  # EUR/kWh
    imbalance: Series | None  # EUR/kWh
    temperature: Series | None  # degrees Celsius
    wind: Series | None  # share of the highest output
    load: tuple[Series, ...]  # P series of kW, none where homes are drawn
    pv: tuple[Series, ...]  # likewise
    spot_mean: float  # EUR/kWh
    spot_deviation: float
    mean_spreads: tuple[float, float]  # EUR/kWh above and below the spot price, where both prices are known

    @property
    def series(self) -> tuple[Series, ...]:
        """All that a day must lie in."""
        single = (self.spot, self.imbalance, self.temperature, self.wind)
        return (*(each for each in single if each is not None), *self.load, *self.pv)


def load(config: EnvConfig, houses: tuple[int, ...]) -> Records:
    """Read the files of a configuration, at least spot prices, for houses with the given indices of loads.

    What is missing in a file, and may be by `recorded.fill`, is counted in a warning of the log, one line a file.
    """
    given = config.recorded
    if not given.spot:
        raise ConfigError(config.name, "recorded.spot", given.spot, "a file of prices, for scenario.source 'recorded'")
    spot = to_quarter_hours(energi_data_service.spot(given.spot, given.area, given.fill), "repeat")
    imbalance = wind = None
    if given.imbalance:
        read = energi_data_service.imbalance(given.imbalance, given.area, given.fill)
        imbalance = to_quarter_hours(read, "repeat")
    if given.wind:
        energy = energi_data_service.energy(given.wind, given.wind_column, fill=given.fill)
        wind = to_quarter_hours(energy.scaled(1.0 / float(np.nanmax(energy.values))), "interpolate")
    records = Records(
        spot=spot,
        imbalance=imbalance,
        temperature=_temperature(given, spot),
        wind=wind,
        load=_of_houses(given.load, given.fill, houses),
        pv=_of_houses(given.pv, given.fill, houses),
        spot_mean=float(np.nanmean(spot.values)),
        spot_deviation=float(np.nanstd(spot.values)),
        mean_spreads=_mean_spreads(spot, imbalance),
    )
    _count(records.series, given.fill)
    return records


def with_sessions(config: EnvConfig) -> EnvConfig:
    """Return the configuration whose vehicles draw from recorded sessions, where there is a file of them.

    Sessions that are left out are counted in a warning of the log.
    """
    given = config.recorded
    if not given.sessions:
        return config
    drop: charging.SessionFill = "none" if given.fill == "none" else "drop"  # nothing else can be done about them
    if Path(given.sessions).suffix.lower() == ".json":
        read = charging.from_acn(given.sessions, drop)
    elif given.session_columns is None:
        raise ConfigError(config.name, "recorded.session_columns", None, "the columns of a CSV file of sessions")
    else:
        read = charging.from_csv(given.sessions, given.session_columns, drop)
    if read.dropped:
        _LOGGER.warning("%s: %d sessions left out (fill '%s')", read.file, read.dropped, drop)
    ev = config.devices.ev.model_copy(update=_vehicles(_pool(read), _sessions_per_day(read)))
    return config.model_copy(update={"devices": config.devices.model_copy(update={"ev": ev})})


def _count(series: tuple[Series, ...], fill: Fill) -> None:
    """Say how many values each file lacks; a file has one series, or one for every house."""
    missing: Counter[str] = Counter()
    for each in series:
        missing[each.file] += each.filled
    for file, count in missing.items():
        if count:
            _LOGGER.warning("%s: %d values missing (fill '%s')", file, count, fill)


def _temperature(given: RecordedConfig, spot: Series) -> Series | None:
    """A dated temperature as it is; a typical year is laid on every year of the prices."""
    if not given.temperature:
        return None
    match Path(given.temperature).suffix.lower():
        case ".epw":
            found = _laid_on(weather_files.epw(given.temperature, _TYPICAL_YEAR).temperature, spot)
        case ".dat":
            found = _laid_on(weather_files.reference_year(given.temperature, _TYPICAL_YEAR).temperature, spot)
        case _:
            found = weather_files.temperature_csv(given.temperature, given.fill)
    return to_quarter_hours(found, "interpolate")


def _of_houses(path: str, fill: Fill, houses: tuple[int, ...]) -> tuple[Series, ...]:
    if not path:
        return ()
    found = profiles.power(path, fill)
    if missing := [house for house in houses if house not in found]:
        raise DataError(path, "columns", ", ".join(map(str, found)), f"a column {missing[0]}, like every load")
    if below := [index for index in houses if np.nanmin(found[index].values) < 0.0]:
        raise DataError(path, f"{below[0]}", float(np.nanmin(found[below[0]].values)), "power of at least 0 kW")
    return tuple(found[house] for house in houses)


def _laid_on(typical: Series, spot: Series) -> Series:
    """The hours of a typical year at those of the prices; 29 February is like the day before."""
    since = (typical.begin - np.datetime64(f"{_TYPICAL_YEAR}-01-01T00:00")) / np.timedelta64(60, "m")
    of_year = np.roll(typical.values, int(since))
    times = np.arange(spot.begin, spot.end, np.timedelta64(60, "m"))
    hour = (times - times.astype("datetime64[Y]")) // np.timedelta64(60, "m")
    year = times.astype("datetime64[Y]").astype(int) + 1970
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    values = of_year[hour - 24 * (leap & (hour >= 59 * 24))]
    return replace(typical, begin=spot.begin, values=values)


def _mean_spreads(spot: Series, imbalance: Series | None) -> tuple[float, float]:
    if imbalance is None:
        return 0.0, 0.0
    begin, end = max(spot.begin, imbalance.begin), min(spot.end, imbalance.end)
    count = max(int((end - begin) / np.timedelta64(spot.minutes, "m")), 0)
    if not count:
        return 0.0, 0.0
    apart = imbalance.window(begin, count) - spot.window(begin, count)
    return float(np.nanmean(np.maximum(apart, 0.0))), float(np.nanmean(np.maximum(-apart, 0.0)))


def _pool(read: charging.ChargingSessions) -> tuple[tuple[float, float, float], ...]:
    """Local hour of arrival from 12 to 36, hours of stay, and kWh of every session."""
    hours = [(at.hour + at.minute / 60.0 - _NOON_H) % 24.0 + _NOON_H for at in map(clock.local, read.arrival)]
    stays = (read.departure - read.arrival) / np.timedelta64(60, "m")
    return tuple(zip(hours, stays.tolist(), read.energy_kwh.tolist()))


def _vehicles(pool: tuple[tuple[float, float, float], ...], per_day: float) -> dict[str, Any]:
    """Settings of vehicles that draw from a pool of sessions, and are expected to do what these do on average."""
    arrival, stay, need = np.array(pool).T
    middle = float(np.median(arrival + stay))
    return {
        "pool": pool,
        "plugged_share": per_day,
        "arrival_hour": float(arrival.mean()),
        "departure_first_hour": middle,
        "departure_last_hour": middle,
        "need_median_kwh": float(need.mean()),
        "need_log_spread": 0.0,
        "need_max_kwh": max(float(need.max()), 1e-3),
    }


def _sessions_per_day(read: charging.ChargingSessions) -> float:
    """Sessions of a user on a day of the time that the user is known, at most 1; 1 where users are not named."""
    users = np.array(read.user)
    if not read.user or "" in read.user:
        return 1.0
    known = [read.arrival[users == user] for user in np.unique(users)]
    days = sum(float((each.max() - each.min()) / np.timedelta64(1440, "m")) + 1.0 for each in known)
    return min(len(users) / days, 1.0)
