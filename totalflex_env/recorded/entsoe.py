"""Series of the ENTSO-E Transparency Platform: frames of the `entsoe-py` client, and CSV files its pages export."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from totalflex_env.errors import DataError
from totalflex_env.recorded import clock
from totalflex_env.recorded.series import Fill, Series, regular, step_of
from totalflex_env.recorded.table import Table, read_csv
from totalflex_env.units import eur_per_kwh, kw_from_mw

Unit = Literal["EUR/MWh", "MW"]

_FACTOR = {"EUR/MWh": eur_per_kwh(1.0), "MW": kw_from_mw(1.0)}
_INTERVAL = re.compile(r"(MTU|Time|Intraday Period).*\((?P<zone>UTC|CET/CEST)\)")
_ZONES = {"UTC": ZoneInfo("UTC"), "CET/CEST": ZoneInfo("Europe/Brussels")}
_OLD, _NEW = "%d.%m.%Y %H:%M", "%d/%m/%Y %H:%M:%S"
_OFFSETS = {"CET)": "+01:00", "CEST)": "+02:00"}


def from_frame(frame: Any, unit: Unit, column: str = "", fill: Fill = "none") -> Series:
    """Return a column of a pandas Series or DataFrame with a time-zone-aware index, in EUR/kWh or kW.

    The step is the shortest between two entries. A frame whose index has no time zone is a DataError.
    """
    name, index = column or str(frame.name), frame.index
    if index.tz is None:
        raise DataError("ENTSO-E frame", "index", "no time zone", "a time-zone-aware index, as entsoe-py returns")
    cells = frame[column] if column else frame
    times = index.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[m]")
    rows = Table("ENTSO-E frame", {name: cells.tolist()}, list(range(1, len(times) + 1)), kind="entry")
    return regular(rows, name, times, step_of(times), fill).scaled(_FACTOR[unit])


def from_csv(path: str | Path, column: str, unit: Unit, area: str = "", fill: Fill = "none") -> Series:
    """Return a column of an exported CSV file, in EUR/kWh or kW.

    The first column holds intervals, "01.01.2023 00:00 - 01.01.2023 01:00" in older files and
    "01/01/2025 00:00:00 - 01/01/2025 00:15:00" in newer ones; its title says whether they are UTC or Central European
    time. `area` picks the rows of one area where the file has such a column.
    """
    rows = read_csv(path)
    if "Area" in rows.columns and area:
        rows = rows.where("Area", lambda text: text == area)
        if not rows.rows:
            raise DataError(str(path), "Area", "no rows", f"rows of {area!r}")
    title = next((name for name in rows.columns if _INTERVAL.match(name)), None)
    if title is None:
        raise DataError(str(path), "columns", ", ".join(rows.columns), "a column 'MTU (UTC)' or 'MTU (CET/CEST)'")
    zone = _ZONES[str(_INTERVAL.match(title)["zone"])]  # type: ignore[index]  # it has just matched
    starts = [text.split(" - ")[0] for text in rows.texts(title)]
    times = _moments(replace(rows, columns={**rows.columns, title: starts}), title, zone)
    return regular(rows, column, times, step_of(times), fill).scaled(_FACTOR[unit])


def _moments(rows: Table, title: str, zone: ZoneInfo) -> clock.Moments:
    """Starts of intervals; where some carry a mark such as "(CEST)", the others are those that need none."""
    starts = rows.texts(title)
    form = _OLD if "." in starts[0] else _NEW
    if not any(start.endswith(")") for start in starts):
        return clock.moments(rows, title, zone, form)
    dated = []
    for row, start in enumerate(starts):
        text, _, mark = start.partition(" (")
        try:
            at = datetime.strptime(text, form)
        except ValueError:
            raise rows.error(row, title, f"an interval that begins like {datetime(2025, 1, 31):{form}}") from None
        dated.append(f"{at.isoformat()}{_OFFSETS[mark]}" if mark else at.replace(tzinfo=zone).isoformat())
    return clock.moments(replace(rows, columns={**rows.columns, title: dated}), title)
