"""Power of many houses over time: one CSV file, a column for each, headed by the index of its pandapower load."""

from __future__ import annotations

from pathlib import Path

from totalflex_env.errors import DataError
from totalflex_env.recorded import clock
from totalflex_env.recorded.series import Fill, Series, regular, step_of, to_quarter_hours
from totalflex_env.recorded.table import read_csv


def power(path: str | Path, fill: Fill = "none") -> dict[int, Series]:
    """Return the power in kW at quarter-hours of every load whose index heads a column.

    The first column holds evenly spaced times, in UTC or with an offset.
    """
    rows = read_csv(path)
    time, *elements = rows.columns
    wrong = [name for name in elements if not name.isdigit()]
    if wrong or not elements:
        raise DataError(str(path), "columns", ", ".join(wrong) or time, "times, then indices of pandapower loads")
    times = clock.moments(rows, time)
    step = step_of(times)
    return {int(name): to_quarter_hours(regular(rows, name, times, step, fill), "interpolate") for name in elements}
