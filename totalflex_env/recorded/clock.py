"""Moments from files as UTC, to the minute: what is local is converted here, and nowhere further inside.

A moment is a numpy `datetime64[m]`. Local time skips an hour in spring and repeats one in autumn: an hour that does not
exist is an error; of a repeated one, the order of the rows of a series tells which is which.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from totalflex_env.recorded.table import Table
from totalflex_env.units import SLOTS_PER_HOUR

Moments = NDArray[np.datetime64]

DENMARK = ZoneInfo("Europe/Copenhagen")
GREENWICH = ZoneInfo("UTC")

_EXAMPLE = datetime(2025, 1, 31, 18, 30)


def moments(table: Table, column: str, zone: ZoneInfo = GREENWICH, form: str = "") -> Moments:
    """Return the times of a series as moments [n] in UTC, in the order of the rows, which runs forwards or backwards.

    `zone` is that of times without an offset, `form` a `strptime` format, ISO 8601 where it is empty. Where the clock
    is set back, a time stands twice, and the later one is the second. Unreadable times, times that no clock showed, and
    rows with an offset among rows without are DataErrors.
    """
    times = _read_all(table, column, form)
    backwards = len(times) > 1 and times[0] > times[-1]
    seen: Counter[datetime] = Counter()
    for row in reversed(range(len(times))) if backwards else range(len(times)):
        stated = times[row]
        if stated.tzinfo is None:
            times[row] = _aware(table, column, row, stated.replace(fold=min(seen[stated], 1)), zone)
            seen[stated] += 1
    return as_moments(times)


def events(table: Table, column: str, zone: ZoneInfo = GREENWICH, form: str = "") -> Moments:
    """Return times of single events as moments [n] in UTC; of an hour that the clock repeats, the first is meant."""
    times = _read_all(table, column, form)
    for row, stated in enumerate(times):
        if stated.tzinfo is None:
            times[row] = _aware(table, column, row, stated, zone)
    return as_moments(times)


def as_moments(times: list[datetime]) -> Moments:
    """Return datetimes with time zones as moments [n], seconds cut off."""
    plain = [each.astimezone(UTC).replace(tzinfo=None) for each in times]
    return np.array(plain, dtype="datetime64[s]").astype("datetime64[m]")


def moment(day: date, hour: int, zone: ZoneInfo = DENMARK) -> np.datetime64:
    """Return the moment at which an hour of a local day begins."""
    begin: np.datetime64 = as_moments([datetime.combine(day, time(hour), zone)])[0]
    return begin


def local(moment: np.datetime64, zone: ZoneInfo = DENMARK) -> datetime:
    """Return a moment as local time."""
    plain: Any = moment.astype("datetime64[s]").item()
    return datetime.combine(plain.date(), plain.time(), UTC).astimezone(zone)


def quarter_hours(day: date, zone: ZoneInfo = DENMARK) -> int:
    """Quarter-hours of a local day: 96, in Europe 92 on the last Sunday of March and 100 on that of October."""
    length = moment(day + timedelta(1), 0, zone) - moment(day, 0, zone)
    return int(length / np.timedelta64(60, "m") * SLOTS_PER_HOUR)


def check_same(table: Table, utc_column: str, local_column: str, zone: ZoneInfo = DENMARK) -> None:
    """Raise a DataError at the first row whose local time is not its UTC time: time zones have been mixed up."""
    truth = moments(table, utc_column)
    for row, stated in enumerate(_read_all(table, local_column, "")):
        expected = local(truth[row], zone).replace(tzinfo=None)
        if stated.replace(tzinfo=None) != expected:
            raise table.error(row, local_column, f"{expected}, which is {utc_column} in {zone.key}")


def _read_all(table: Table, column: str, form: str) -> list[datetime]:
    """A column of times, with an offset in all rows or in none."""
    times = []
    for row, text in enumerate(table.texts(column)):
        try:
            times.append(datetime.strptime(text, form) if form else datetime.fromisoformat(text))
        except ValueError:
            raise table.error(row, column, f"a time like {_EXAMPLE.strftime(form or '%Y-%m-%d %H:%M')}") from None
        if (times[-1].tzinfo is None) != (times[0].tzinfo is None):
            raise table.error(row, column, "an offset from UTC in every row, or in none")
    return times


def _aware(table: Table, column: str, row: int, stated: datetime, zone: ZoneInfo) -> datetime:
    """A local time with its zone; one that the clock skipped is a DataError."""
    at = stated.replace(tzinfo=zone)
    if at.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != stated.replace(fold=0):
        raise table.error(row, column, f"an hour that exists in {zone.key}")
    return at
