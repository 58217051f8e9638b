"""Frames as entsoe-py returns them, and files as the pages of the Transparency Platform export them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from totalflex_env.errors import DataError
from totalflex_env.recorded import clock, entsoe

Write = Callable[[str, str], Path]


@pytest.mark.parametrize(("day", "count"), [("2025-03-30", 92), ("2025-10-26", 100)])
def test_a_series_of_prices_in_local_time(day: str, count: int) -> None:
    index = pd.date_range(day, periods=count, freq="15min", tz="Europe/Copenhagen")
    found = entsoe.from_frame(pd.Series(np.arange(count), index=index), "EUR/MWh")
    assert found.minutes == 15 and found.values == pytest.approx(np.arange(count) / 1e3)
    assert found.begin == clock.moment(date.fromisoformat(day), 0)
    assert found.end - found.begin == np.timedelta64(15 * count, "m")


def test_a_column_of_a_frame_is_power() -> None:
    index = pd.date_range("2025-01-01", periods=3, freq="h", tz="UTC")
    frame = pd.DataFrame({"Wind Onshore": [1.0, 2.0, 3.0], "Solar": [0.0, np.nan, 0.0]}, index=index)
    assert entsoe.from_frame(frame, "MW", "Wind Onshore").values.tolist() == [1000.0, 2000.0, 3000.0]
    assert entsoe.from_frame(frame, "MW", "Solar", fill="interpolate").filled == 1
    with pytest.raises(DataError, match="ENTSO-E frame: entry 2, Solar = nothing at 2025-01-01T01:00 UTC"):
        entsoe.from_frame(frame, "MW", "Solar")
    with pytest.raises(DataError, match="index = no time zone: expected a time-zone-aware index"):
        entsoe.from_frame(frame.tz_localize(None), "MW", "Solar")


OLD = """"MTU (CET/CEST)","Day-ahead Price [EUR/MWh]","Currency","BZN|DK1"
"27.10.2024 01:00 - 27.10.2024 02:00","10.5","EUR",""
"27.10.2024 02:00 - 27.10.2024 03:00","20","EUR",""
"27.10.2024 02:00 - 27.10.2024 03:00","30","EUR",""
"27.10.2024 03:00 - 27.10.2024 04:00","-40","EUR",""
"""

NEW = """"MTU (CET/CEST)","Area","Sequence","Day-ahead Price (EUR/MWh)"
"26/10/2025 01:45:00 - 26/10/2025 02:00:00 (CEST)","BZN|DK1","1","1"
"26/10/2025 02:15:00 (CET) - 26/10/2025 02:30:00 (CET)","BZN|DK1","1","7"
"26/10/2025 02:00:00 (CEST) - 26/10/2025 02:15:00 (CEST)","BZN|DK1","1","2"
"26/10/2025 02:15:00 (CEST) - 26/10/2025 02:30:00 (CEST)","BZN|DK1","1","3"
"26/10/2025 02:30:00 (CEST) - 26/10/2025 02:45:00 (CEST)","BZN|DK1","1","4"
"26/10/2025 02:45:00 (CEST) - 26/10/2025 02:00:00 (CET)","BZN|DK1","1","5"
"26/10/2025 02:00:00 (CET) - 26/10/2025 02:15:00 (CET)","BZN|DK1","1","6"
"26/10/2025 01:45:00 - 26/10/2025 02:00:00 (CEST)","BZN|DK2","1","99"
"""


def test_old_files_repeat_the_hour_without_a_mark(write: Write) -> None:
    found = entsoe.from_csv(write("old.csv", OLD), "Day-ahead Price [EUR/MWh]", "EUR/MWh")
    assert found.values.tolist() == [0.0105, 0.02, 0.03, -0.04]
    assert (str(found.begin), found.minutes) == ("2024-10-26T23:00", 60)


def test_new_files_mark_the_hour_and_name_the_area(write: Write) -> None:
    found = entsoe.from_csv(write("new.csv", NEW), "Day-ahead Price (EUR/MWh)", "EUR/MWh", "BZN|DK1")
    assert found.values * 1e3 == pytest.approx(np.arange(1, 8))
    assert (str(found.begin), found.minutes) == ("2025-10-25T23:45", 15)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("BZN|DK1", "BZN|DE", "Area = no rows: expected rows of 'BZN|DK1'"),
        ("MTU (CET/CEST)", "When", r"expected a column 'MTU \(UTC\)' or"),
        (
            "26/10/2025 01:45:00 -",
            "2025-10-26 01:45 -",
            "row 2, MTU .CET/CEST. = 2025-10-26 01:45.* begins like 31/01/2025",
        ),
        ("26/10/2025 02:15:00 (CET) -", "26/10/2025 02:15:00 (CEST) -", "expected every time once; row 3 has it, too"),
    ],
)
def test_bad_files_are_named(old: str, new: str, line: str, write: Write) -> None:
    with pytest.raises(DataError, match=line.replace("|", r"\|")):
        path = write("bad.csv", NEW.replace(old, new))
        entsoe.from_csv(path, "Day-ahead Price (EUR/MWh)", "EUR/MWh", "BZN|DK1")
