"""Order does not matter, holes and doubles do; prices hold, energies are divided, powers move evenly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from totalflex_env.errors import DataError
from totalflex_env.recorded.series import Fill, Series, regular, to_quarter_hours
from totalflex_env.recorded.table import Table

START = np.datetime64("2025-01-01T00:00")


def made(hours: list[float], cells: list[object]) -> tuple[Table, np.ndarray]:
    times = np.array([START + np.timedelta64(int(60 * hour), "m") for hour in hours])
    return Table("made.csv", {"price": list(cells)}, list(range(2, len(cells) + 2))), times


def series_of(hours: list[float], cells: list[object], fill: Fill = "none") -> Series:
    rows, times = made(hours, cells)
    return regular(rows, "price", times, 60, fill)


@given(st.permutations(range(12)))
def test_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    found = series_of(list(order), [float(each) for each in order])
    assert found.values.tolist() == list(range(12)) and found.begin == START and found.filled == 0
    assert found.end == START + np.timedelta64(12, "h")


@pytest.mark.parametrize(
    ("hours", "cells", "line"),
    [
        ([0, 1, 1], [1, 2, 3], "row 4, price = 2025-01-01T01:00 UTC: expected every time once; row 3 has it, too"),
        (
            [0, 2, 4],
            [1, 2, 3],
            r"price = nothing at 2025-01-01T01:00 UTC: expected .* \(missing: 2\), or a fill policy",
        ),
        ([0, 1, 2], [1, None, 3], r"row 3, price = nothing at 2025-01-01T01:00 UTC: .* \(missing: 1\)"),
        ([0, 1, 2], [1, "NaN", 3], "row 3, price = nothing at 2025-01-01T01:00 UTC"),
        ([0, 1, 1.5], [1, 2, 3], "row 4, price = 2025-01-01T01:30 UTC: expected times that are 60 minutes apart"),
    ],
)
def test_holes_doubles_and_odd_times_are_named(hours: list[float], cells: list[object], line: str) -> None:
    with pytest.raises(DataError, match=line):
        series_of(hours, cells)


@pytest.mark.parametrize(
    ("fill", "values"),
    [("previous", [1, 1, 1, 4, 4]), ("interpolate", [1, 2, 3, 4, 4]), ("drop", [1, np.nan, np.nan, 4, np.nan])],
)
def test_filling_is_explicit_and_counted(fill: Fill, values: list[float]) -> None:
    found = series_of([0, 1, 3, 4], [1.0, None, 4.0, None], fill)
    np.testing.assert_array_equal(found.values, values)
    assert found.filled == 3


@pytest.mark.parametrize("fill", ["previous", "interpolate"])
def test_nothing_cannot_be_filled(fill: Fill) -> None:
    with pytest.raises(DataError, match="nothing at the beginning"):
        series_of([0, 1], [None, None], fill)


def test_resampling_by_hand() -> None:
    hourly = series_of([0, 1], [4.0, 8.0])
    assert to_quarter_hours(hourly, "repeat").values.tolist() == [4, 4, 4, 4, 8, 8, 8, 8]
    assert to_quarter_hours(hourly, "divide").values.tolist() == [1, 1, 1, 1, 2, 2, 2, 2]
    assert to_quarter_hours(hourly, "interpolate").values.tolist() == [4, 5, 6, 7, 8, 8, 8, 8]


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20))
def test_resampling_keeps_energy_and_mean(values: list[float]) -> None:
    hourly = series_of(list(range(len(values))), values)  # type: ignore[arg-type]
    assert to_quarter_hours(hourly, "divide").values.sum() == pytest.approx(sum(values), abs=1e-9)
    assert to_quarter_hours(hourly, "repeat").values.mean() == pytest.approx(np.mean(values), abs=1e-9)


def test_finer_steps_are_gathered_and_odd_ones_refused() -> None:
    fine = Series("made.csv", "kwh", START, 5, np.array([1.0, 2.0, 3.0, 6.0]), 0)
    assert to_quarter_hours(fine, "divide").values.tolist() == [6.0]
    assert to_quarter_hours(fine, "interpolate").values.tolist() == [2.0]
    with pytest.raises(DataError, match="kwh = 20 minutes: expected a step that fits into quarter-hours"):
        to_quarter_hours(Series("made.csv", "kwh", START, 20, np.ones(3), 0), "divide")


def test_a_window_lies_within() -> None:
    found = series_of([0, 1, 2], [1, 2, 3])
    assert found.window(START + np.timedelta64(1, "h"), 2).tolist() == [2, 3]
    for begin, count in ((START + np.timedelta64(1, "h"), 3), (START - np.timedelta64(1, "h"), 1)):
        with pytest.raises(DataError, match=r"price = 2025-01-01T00:00 to 2025-01-01T03:00 UTC: expected values from"):
            found.window(begin, count)
