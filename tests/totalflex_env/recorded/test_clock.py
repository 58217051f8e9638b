"""Local days of 92 and 100 quarter-hours follow each other without hole or double in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from totalflex_env.errors import DataError
from totalflex_env.recorded import clock
from totalflex_env.recorded.table import Table

DENMARK = ZoneInfo("Europe/Copenhagen")
SPRING, AUTUMN = date(2025, 3, 30), date(2025, 10, 26)
QUARTER = np.timedelta64(15, "m")


def a_table(texts: list[str]) -> Table:
    return Table("made.csv", {"time": list(texts)}, list(range(2, len(texts) + 2)))


def local_day(day: date) -> list[str]:
    """All quarter-hours of a local day as a clock on the wall shows them."""
    begin = datetime(day.year, day.month, day.day, tzinfo=DENMARK).astimezone(UTC)
    slots = [(begin + timedelta(minutes=15 * i)).astimezone(DENMARK) for i in range(101)]
    return [f"{each:%Y-%m-%d %H:%M}" for each in slots if each.date() == day]


@pytest.mark.parametrize(("day", "count"), [(SPRING, 92), (AUTUMN, 100), (date(2025, 6, 1), 96)])
def test_a_local_day_is_read_whole_forwards_and_backwards(day: date, count: int) -> None:
    shown = local_day(day)
    assert len(shown) == clock.quarter_hours(day) == count
    found = clock.moments(a_table(shown), "time", DENMARK)
    assert (np.diff(found) == QUARTER).all()
    assert found[0] == clock.moment(day, 0) and found[-1] + QUARTER == clock.moment(day + timedelta(1), 0)
    np.testing.assert_array_equal(clock.moments(a_table(shown[::-1]), "time", DENMARK), found[::-1])


def test_the_first_hour_that_is_repeated_is_summer_time() -> None:
    found = clock.moments(a_table(["2025-10-26 02:00", "2025-10-26 02:00"]), "time", DENMARK)
    assert [str(each) for each in found] == ["2025-10-26T00:00", "2025-10-26T01:00"]
    events = clock.events(a_table(["2025-10-26 02:00", "2025-10-26 02:00"]), "time", DENMARK)
    assert str(events[0]) == str(events[1]) == "2025-10-26T00:00"


@pytest.mark.parametrize("read", [clock.moments, clock.events])
def test_an_hour_that_no_clock_showed_is_an_error(read: type) -> None:
    with pytest.raises(DataError, match=r"row 3, time = 2025-03-30 02:30: expected an hour that exists in Europe/Cop"):
        read(a_table(["2025-03-30 01:30", "2025-03-30 02:30"]), "time", DENMARK)


@pytest.mark.parametrize(
    "text",
    ["2025-01-31 18:30", "2025-01-31 18:30:00", "2025-01-31T18:30:59", "2025-01-31T19:30+01:00", "2025-01-31T18:30Z"],
)
def test_times_with_and_without_seconds_and_offsets(text: str) -> None:
    assert str(clock.moments(a_table([text]), "time")[0]) == "2025-01-31T18:30"


def test_other_forms_are_told() -> None:
    assert str(clock.moments(a_table(["31.01.2025 18:30"]), "time", form="%d.%m.%Y %H:%M")[0]) == "2025-01-31T18:30"
    with pytest.raises(DataError, match=r"row 2, time = 2025-01-31: expected a time like 31\.01\.2025 18:30"):
        clock.moments(a_table(["2025-01-31"]), "time", form="%d.%m.%Y %H:%M")


def test_mixed_time_zones_are_an_error() -> None:
    with pytest.raises(DataError, match="row 3, time = 2025-01-01 01:00: expected an offset from UTC in every row"):
        clock.moments(a_table(["2025-01-01T00:00Z", "2025-01-01 01:00"]), "time")
    rows = Table("made.csv", {"u": ["2025-07-01 10:00"] * 2, "d": ["2025-07-01 12:00", "2025-07-01 11:00"]}, [2, 3])
    with pytest.raises(DataError, match=r"row 3, d = 2025-07-01 11:00: expected 2025-07-01 12:00:00, which is u in"):
        clock.check_same(rows, "u", "d")


def test_there_and_back_again() -> None:
    for day in (SPRING, AUTUMN):
        for hour in (0, 1, 3, 12, 23):
            assert clock.local(clock.moment(day, hour)) == datetime(day.year, day.month, day.day, hour, tzinfo=DENMARK)
