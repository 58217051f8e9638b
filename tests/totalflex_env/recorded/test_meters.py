"""Meter readings of a house as customers download them, on both days of the clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from totalflex_env.errors import DataError
from totalflex_env.recorded import clock, meters
from totalflex_env.recorded.series import to_quarter_hours

Write = Callable[[str, str], Path]
DENMARK = ZoneInfo("Europe/Copenhagen")
HEAD = "MålepunktsID;Fra_dato;Til_dato;Mængde;Måleenhed;Kvalitet;Type"


def rows_of(day: date, minutes: int, point: str = "57") -> list[str]:
    begin = datetime(day.year, day.month, day.day, tzinfo=DENMARK).astimezone(UTC)
    found = []
    for i in range(clock.quarter_hours(day) * 15 // minutes):
        first, last = (begin + timedelta(minutes=minutes * (i + n)) for n in (0, 1))
        shown = (f"{each.astimezone(DENMARK):%d-%m-%Y %H:%M:%S}" for each in (first, last))
        found.append(f"{point};{';'.join(shown)};0,5;KWH;Målt;Tidsserie")
    return found


@pytest.mark.parametrize("minutes", [60, 15])
@pytest.mark.parametrize(("day", "quarters"), [(date(2025, 3, 30), 92), (date(2025, 10, 26), 100)])
def test_a_day_of_the_clock(day: date, quarters: int, minutes: int, write: Write) -> None:
    found = meters.eloverblik(write("m.csv", "\n".join([HEAD, *rows_of(day, minutes)])))
    assert found.minutes == minutes and len(found.values) == quarters * 15 // minutes
    assert found.begin == clock.moment(day, 0)
    fine = to_quarter_hours(found, "divide")
    assert len(fine.values) == quarters and fine.values.sum() == pytest.approx(0.5 * len(found.values))


def test_one_of_several_meters_is_named(write: Write) -> None:
    day = date(2025, 5, 1)
    path = write("m.csv", "\n".join([HEAD, *rows_of(day, 60), *rows_of(day, 60, "58")]))
    assert len(meters.eloverblik(path, "58").values) == 24
    for point in ("", "59"):
        with pytest.raises(DataError, match=r"MålepunktsID = .*: expected one of 57, 58"):
            meters.eloverblik(path, point)


def test_other_units_and_holes_are_named(write: Write) -> None:
    rows = rows_of(date(2025, 5, 1), 60)
    with pytest.raises(DataError, match="row 4, Måleenhed = MWH: expected kWh"):
        meters.eloverblik(write("m.csv", "\n".join([HEAD, *rows]).replace("KWH", "MWH").replace("MWH", "KWH", 2)))
    path = write("m.csv", "\n".join([HEAD, *rows[:5], *rows[6:]]))
    with pytest.raises(DataError, match=r"Mængde = nothing at 2025-05-01T03:00 UTC: .* \(missing: 1\)"):
        meters.eloverblik(path)
    assert meters.eloverblik(path, fill="previous").filled == 1
