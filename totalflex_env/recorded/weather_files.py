"""Weather of a year by the hour: EnergyPlus weather (EPW), DWD test reference years (TRY), and plain CSV."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from totalflex_env.errors import DataError
from totalflex_env.recorded import clock
from totalflex_env.recorded.series import Fill, Series, regular
from totalflex_env.recorded.table import Table, read_csv, read_text

_EPW_HEADER_LINES = 8
_EPW_COLUMNS = {1: "month", 2: "day", 3: "hour", 6: "temperature", 14: "direct", 15: "diffuse", 21: "wind_speed"}
_EPW_MISSING = {"temperature": 99.9, "direct": 9999.0, "diffuse": 9999.0, "wind_speed": 999.0}
_TRY_NAMES = {"MM": "month", "DD": "day", "HH": "hour", "t": "temperature", "WG": "wind_speed", "B": "direct"}
_TRY_NAMES |= {"D": "diffuse"}
_TRY_OFFSET_H = 1.0  # Central European time without daylight saving


@dataclass(frozen=True, eq=False)
class WeatherYear:
    """Hourly weather of a typical year, laid on the calendar of one year; each value holds for the hour it begins."""

    temperature: Series  # degrees Celsius
    direct: Series  # W/m2: EPW on a plane facing the sun, TRY on the horizontal plane
    diffuse: Series  # W/m2, horizontal plane
    wind_speed: Series  # m/s, 10 m above ground


def epw(path: str | Path, year: int) -> WeatherYear:
    """Return an EnergyPlus weather file on the calendar of a year that is no leap year; its times are standard time."""
    lines = read_text(path).splitlines()
    location = lines[0].split(",") if lines else [""]
    if location[0] != "LOCATION" or len(location) < 10:
        raise DataError(str(path), "row 1", lines[0] if lines else "(empty)", "a LOCATION line of an EPW file")
    try:
        offset = float(location[8])
    except ValueError:
        raise DataError(str(path), "row 1, time zone", location[8], "hours from UTC") from None
    cells = [line.split(",") for line in lines[_EPW_HEADER_LINES:] if line.strip()]
    for number, row in enumerate(cells, start=_EPW_HEADER_LINES + 1):
        if len(row) <= max(_EPW_COLUMNS):
            raise DataError(str(path), f"row {number}", f"{len(row)} cells", f"at least {max(_EPW_COLUMNS) + 1} cells")
    columns = {name: [row[i] for row in cells] for i, name in _EPW_COLUMNS.items()}
    return _year(Table(str(path), columns, _numbers(len(cells), _EPW_HEADER_LINES)), year, offset, _EPW_MISSING)


def reference_year(path: str | Path, year: int) -> WeatherYear:
    """Return a test reference year of the Deutscher Wetterdienst (.dat of 2010 or later) on the calendar of a year."""
    lines = read_text(path).splitlines()
    end = next((i for i, line in enumerate(lines) if line.strip() == "***"), 0)
    names = lines[end - 1].split() if end else []
    while end and not names:
        end -= 1
        names = lines[end - 1].split()
    if not set(_TRY_NAMES) <= set(names):
        raise DataError(str(path), "header", " ".join(names), f"a line with {' '.join(_TRY_NAMES)} before '***'")
    begin = next(i for i, line in enumerate(lines) if line.strip() == "***") + 1
    cells = [line.split() for line in lines[begin:] if line.strip()]
    for number, row in enumerate(cells, start=begin + 1):
        if len(row) != len(names):
            raise DataError(str(path), f"row {number}", f"{len(row)} values", f"{len(names)}, as the header names")
    columns = {ours: [row[names.index(theirs)] for row in cells] for theirs, ours in _TRY_NAMES.items()}
    return _year(Table(str(path), columns, _numbers(len(cells), begin)), year, _TRY_OFFSET_H, {})


def temperature_csv(path: str | Path, fill: Fill = "none") -> Series:
    """Return the hourly temperature of a CSV file of two columns, time (UTC, or with offset) and degrees, no header."""
    rows = read_csv(path, header=("time", "temperature"))
    return regular(rows, "temperature", clock.moments(rows, "time"), 60, fill)


def _numbers(count: int, before: int) -> list[int]:
    return list(range(before + 1, before + 1 + count))


def _year(rows: Table, year: int, offset_h: float, missing: dict[str, float]) -> WeatherYear:
    """Rows of month, day and hour 1 to 24 as series; numbers that a format uses for "missing" are DataErrors."""
    begins = []
    month, day, hour = (rows.numbers(name) for name in ("month", "day", "hour"))
    for row in range(len(rows.rows)):
        try:
            midnight = datetime(year, int(month[row]), int(day[row]), tzinfo=UTC)
        except ValueError:
            raise rows.error(row, "day", f"a day of month {month[row]:g} in {year}") from None
        begins.append(midnight + timedelta(hours=float(hour[row]) - 1.0 - offset_h))
    times = clock.as_moments(begins)
    for name, sign in missing.items():
        if len(unknown := np.flatnonzero(rows.numbers(name) >= sign)):
            raise rows.error(int(unknown[0]), name, f"a value; {sign:g} stands for a missing one")
    return WeatherYear(
        temperature=regular(rows, "temperature", times, 60),
        direct=regular(rows, "direct", times, 60),
        diffuse=regular(rows, "diffuse", times, 60),
        wind_speed=regular(rows, "wind_speed", times, 60),
    )
