"""Energy that meters of houses counted: CSV files as customers download them from eloverblik.dk."""

from __future__ import annotations

from pathlib import Path

from totalflex_env.errors import DataError
from totalflex_env.recorded import clock
from totalflex_env.recorded.series import Fill, Series, regular, step_of
from totalflex_env.recorded.table import read_csv

_POINT, _BEGIN, _AMOUNT, _UNIT = "MålepunktsID", "Fra_dato", "Mængde", "Måleenhed"
_FORM = "%d-%m-%Y %H:%M:%S"


def eloverblik(path: str | Path, point: str = "", fill: Fill = "none") -> Series:
    """Return the consumption of a metering point in kWh, hourly or quarter-hourly; times are Danish local time.

    A file that holds several metering points needs `point`, the number of one of them.
    """
    rows = read_csv(path)
    points = sorted(set(rows.texts(_POINT)))
    if point not in points and (point or len(points) > 1):
        raise DataError(str(path), _POINT, point or "(not named)", f"one of {', '.join(points)}")
    rows = rows.where(_POINT, lambda text: text == (point or points[0]))
    units = rows.texts(_UNIT)
    other = next((row for row, unit in enumerate(units) if unit.lower() != "kwh"), None)
    if other is not None:
        raise rows.error(other, _UNIT, "kWh")
    begin = clock.moments(rows, _BEGIN, clock.DENMARK, _FORM)
    return regular(rows, _AMOUNT, begin, step_of(begin), fill)
