"""Weather files of two formats, made by the hour for a year."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from totalflex_env.errors import DataError
from totalflex_env.recorded import weather_files

Write = Callable[[str, str], Path]
HOURS = [(date(2019, 1, 1) + timedelta(days=day), hour) for day in range(365) for hour in range(1, 25)]


def epw_text(offset: str = "1.0") -> str:
    head = [f"LOCATION,Made,-,DNK,Test,000000,55.0,9.0,{offset},10.0", *["COMMENT"] * 7]
    rows = []
    for number, (day, hour) in enumerate(HOURS):
        cells = ["0"] * 35
        cells[:4] = [str(1990 + day.month), str(day.month), str(day.day), str(hour)]
        cells[6], cells[14], cells[15], cells[21] = str(number / 1000), "100", "50", "5.5"
        rows.append(",".join(cells))
    return "\n".join([*head, *rows]) + "\n"


def try_text() -> str:
    names = "RG    IS  MM  DD  HH  N   WR      WG       t       p        x   RF   W     B     D IK    A      E IL"
    head = f"TRY99 made\n\n{names}\n***\n"
    rows = (
        f" 2 1 {d.month} {d.day} {h} 8 280 6.6 {n / 1000} 1013.0 3.5 92 70 10 20 1 283 -315 9"
        for n, (d, h) in enumerate(HOURS)
    )
    return head + "\n".join(rows) + "\n"


@pytest.mark.parametrize(
    ("read", "text"), [(weather_files.epw, epw_text()), (weather_files.reference_year, try_text())]
)
def test_a_year_in_standard_time(read: Callable[..., weather_files.WeatherYear], text: str, write: Write) -> None:
    found = read(write("year.txt", text), 2019)
    assert str(found.temperature.begin) == "2018-12-31T23:00"
    assert len(found.temperature.values) == 8760 and found.temperature.minutes == 60
    assert found.temperature.values[:3].tolist() == [0.0, 0.001, 0.002]
    assert found.temperature.values[-1] == 8.759
    assert (found.direct.values.mean(), found.diffuse.values.mean()) in ((100.0, 50.0), (10.0, 20.0))
    assert found.wind_speed.values.mean() == pytest.approx(5.5 if found.direct.values[0] == 100.0 else 6.6)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("LOCATION", "PLACE", "row 1 = PLACE.*: expected a LOCATION line"),
        (",1.0,10.0\n", ",one,10.0\n", "row 1, time zone = one: expected hours from UTC"),
        (",0.003,", ",99.9,", "row 12, temperature = 99.9: expected a value; 99.9 stands for a missing one"),
        (",0.003,", ",0;003,", "row 12, temperature = 0;003: expected a number with a decimal point"),
        ("1991,1,1,4,", "1991,1,1,3,", "row 12, temperature = 2019-01-01T01:00 UTC: expected every time once"),
        ("1991,1,1,4,", "1991,2,30,4,", "row 12, day = 30: expected a day of month 2 in 2019"),
    ],
)
def test_bad_epw_is_named(old: str, new: str, line: str, write: Write) -> None:
    with pytest.raises(DataError, match=line):
        weather_files.epw(write("bad.epw", epw_text().replace(old, new, 1)), 2019)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("***", "---", "header = .*: expected a line with MM DD HH t WG B D before"),
        (" 2 1 1 1 4 ", " 2 1 1 1 ", "row 8 = 18 values: expected 19, as the header names"),
        (" 2 1 1 1 4 ", " 2 1 1 1 5 ", "row 9, temperature = .*: expected every time once; row 8 has it, too"),
    ],
)
def test_bad_reference_years_are_named(old: str, new: str, line: str, write: Write) -> None:
    with pytest.raises(DataError, match=line):
        weather_files.reference_year(write("bad.dat", try_text().replace(old, new, 1)), 2019)


def test_a_missing_hour_is_named(write: Write) -> None:
    rows = epw_text().splitlines()
    with pytest.raises(DataError, match=r"nothing at 2019-01-01T00:00 UTC: .* \(missing: 1\)"):
        weather_files.epw(write("bad.epw", "\n".join(rows[:9] + rows[10:])), 2019)
    with pytest.raises(DataError, match="row 9 = 3 cells: expected at least 22 cells"):
        weather_files.epw(write("bad.epw", "\n".join([*rows[:8], "1,2,3"])), 2019)


def test_plain_temperatures(write: Write) -> None:
    path = write("t.csv", "2018-01-01T00:00:00+00:00,4.6\n2018-01-01T01:00:00+00:00,4.7\n")
    assert weather_files.temperature_csv(path).values.tolist() == [4.6, 4.7]
