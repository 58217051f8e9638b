"""Values at regular moments in UTC, checked for holes and doubles, and brought to quarter-hours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from totalflex_env.errors import DataError
from totalflex_env.recorded.clock import Moments
from totalflex_env.recorded.table import Array, Table
from totalflex_env.units import SLOTS_PER_HOUR

Fill = Literal["none", "previous", "interpolate", "drop"]
"""What is done about a missing value: an error, the value before it, a straight line (at the ends the nearest value),
or nothing, so that a hole stays."""

Rule = Literal["repeat", "divide", "interpolate"]
"""How hourly values become quarter-hours: a price holds, an energy is divided, a power or temperature moves evenly."""

SLOT_MINUTES = 60 // SLOTS_PER_HOUR


@dataclass(frozen=True, eq=False)
class Series:
    """Values of one quantity, `minutes` apart, each at the start of its interval."""

    file: str
    field: str
    begin: np.datetime64  # UTC, to the minute
    minutes: int
    values: Array  # [n], NaN only where a hole was left by fill "drop"
    filled: int  # values that were not in the file

    @property
    def end(self) -> np.datetime64:
        """The moment at which the last interval ends."""
        return self.begin + np.timedelta64(self.minutes * len(self.values), "m")

    def scaled(self, factor: float) -> Series:
        """Return the same series in another unit."""
        return replace(self, values=self.values * factor)

    def window(self, begin: np.datetime64, count: int) -> Array:
        """Return `count` values from the moment `begin` on; what lies outside the series is a DataError."""
        first = int((begin - self.begin) / np.timedelta64(self.minutes, "m"))
        if first < 0 or first + count > len(self.values):
            raise DataError(self.file, self.field, f"{self.begin} to {self.end} UTC", f"values from {begin} UTC on")
        return self.values[first : first + count]


def regular(table: Table, column: str, times: Moments, minutes: int, fill: Fill = "none") -> Series:
    """Return a column as a series, whatever the order of its rows; `times` [n] are their moments.

    A time that stands twice, lies between the intervals, or is missing, and a value that is missing, are DataErrors,
    unless `fill` says what takes the place of the missing ones.
    """
    values = table.numbers(column)
    order = np.argsort(times, kind="stable")
    begin, step = times[order[0]], np.timedelta64(minutes, "m")
    since = (times - begin) // np.timedelta64(1, "m")
    for twice in np.flatnonzero(times[order[1:]] == times[order[:-1]]):
        first, second = sorted((int(order[twice]), int(order[twice + 1])))
        expected = f"every time once; {table.kind} {table.rows[first]} has it, too"
        raise _misplaced(table, second, column, times, expected)
    if len(odd := np.flatnonzero(since % minutes)):
        raise _misplaced(table, int(odd[0]), column, times, f"times that are {minutes} minutes apart")
    place = since // minutes
    whole = np.full(int(place.max()) + 1, np.nan)
    whole[place] = values
    holes = np.isnan(whole)
    if fill == "none" and holes.any():
        hole = int(np.argmax(holes))
        there = np.flatnonzero(place == hole)
        where = table.place(int(there[0]), column) if len(there) else column
        expected = f"a value every {minutes} minutes (missing: {int(holes.sum())}), or a fill policy"
        raise DataError(table.file, where, f"nothing at {begin + hole * step} UTC", expected)
    filled = _filled(table, column, whole, fill)
    return Series(table.file, column, begin, minutes, filled, int(holes.sum()))


def step_of(times: Moments) -> int:
    """Return the shortest time between two of the moments [n] in minutes, an hour where there is only one."""
    apart = np.diff(np.unique(times)) // np.timedelta64(1, "m")
    return int(apart.min()) if len(apart) else 60


def to_quarter_hours(series: Series, rule: Rule) -> Series:
    """Return the series at quarter-hours; its step must divide or be divided by 15 minutes.

    Finer values are summed where energy is divided, else averaged. After the last value, interpolation holds it.
    """
    if series.minutes % SLOT_MINUTES == 0:
        values = _refined(series.values, series.minutes // SLOT_MINUTES, rule)
    elif SLOT_MINUTES % series.minutes == 0:
        parts = SLOT_MINUTES // series.minutes
        whole = series.values[: len(series.values) // parts * parts].reshape(-1, parts)
        values = whole.sum(axis=1) if rule == "divide" else whole.mean(axis=1)
    else:
        raise DataError(series.file, series.field, f"{series.minutes} minutes", "a step that fits into quarter-hours")
    return replace(series, minutes=SLOT_MINUTES, values=values)


def _refined(values: Array, parts: int, rule: Rule) -> Array:
    if rule == "interpolate":
        fine = np.arange(len(values) * parts) / parts
        return np.interp(fine, np.arange(len(values)), values)
    return np.repeat(values / (parts if rule == "divide" else 1), parts)


def _filled(table: Table, column: str, values: Array, fill: Fill) -> Array:
    known = np.flatnonzero(~np.isnan(values))
    if fill in ("none", "drop") or len(known) == len(values):
        return values
    if not len(known) or (fill == "previous" and known[0] != 0):
        raise DataError(table.file, column, "nothing at the beginning", f"a first value, which fill {fill!r} needs")
    if fill == "previous":
        return np.asarray(values[known[np.searchsorted(known, np.arange(len(values)), side="right") - 1]])
    return np.interp(np.arange(len(values)), known, values[known])


def _misplaced(table: Table, row: int, column: str, times: Moments, expected: str) -> DataError:
    return DataError(table.file, table.place(row, column), f"{times[row]} UTC", expected)
