"""Charging sessions of electric vehicles: ACN-Data JSON, and CSV files of any layout by a map of their columns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from totalflex_env.data_config import SessionColumns
from totalflex_env.errors import ConfigError, DataError
from totalflex_env.recorded import clock, table
from totalflex_env.recorded.clock import Moments
from totalflex_env.recorded.table import MISSING, Array, Table

SessionFill = Literal["none", "drop"]
"""What is done about a session without start, end or energy, or with an end before its start: an error, or left out."""

TRONDHEIM = SessionColumns(
    start="Start_plugin", end="End_plugout", energy="El_kWh", user="User_ID", form="%d.%m.%Y %H:%M", zone="Europe/Oslo"
)
"""Residential sessions of Sørensen et al., "Residential electric vehicle charging datasets", Data in Brief 2021."""

ELAADNL = SessionColumns(
    start="UTCTransactionStart", end="UTCTransactionStop", energy="TotalEnergy", user="StartCard", form="%d-%m-%Y %H:%M"
)
"""Open transactions of the public stations of ElaadNL, the Netherlands, 2019.

Times are read as UTC, as their columns are named; a copied description of the file says that they are local.
"""

_ACN = SessionColumns(
    start="connectionTime", end="disconnectTime", energy="kWhDelivered", user="userID", form="%a, %d %b %Y %H:%M:%S GMT"
)


@dataclass(frozen=True, eq=False)
class ChargingSessions:
    """Sessions in the order of the file."""

    file: str
    arrival: Moments  # [n] UTC
    departure: Moments  # [n] UTC, after the arrival
    energy_kwh: Array  # [n] >= 0
    user: tuple[str, ...]  # n, "" where unknown
    dropped: int  # sessions left out by fill "drop"


def from_csv(path: str | Path, columns: SessionColumns, fill: SessionFill = "none") -> ChargingSessions:
    """Return the sessions of a CSV file whose columns a map names; times without an offset are in the map's zone."""
    return _sessions(table.read_csv(path, decimal=columns.decimal), columns, fill)


def from_acn(path: str | Path, fill: SessionFill = "none") -> ChargingSessions:
    """Return the sessions of an ACN-Data JSON file (ev.caltech.edu), as its API and its web page give them.

    Times are those of plugging in and out. The energy is what was delivered, not what users asked for.
    """
    return _sessions(table.read_json(path, "_items"), _ACN, fill)


def _sessions(rows: Table, columns: SessionColumns, fill: SessionFill) -> ChargingSessions:
    total, needed = len(rows.rows), (columns.start, columns.end, columns.energy)
    texts = [rows.texts(name) for name in needed]
    incomplete = [row for row in range(len(rows.rows)) if any(text[row].lower() in MISSING for text in texts)]
    if incomplete and fill == "none":
        row = incomplete[0]
        name = next(name for name, text in zip(needed, texts) if text[row].lower() in MISSING)
        raise rows.error(row, name, f"a value in every session (missing in {len(incomplete)}), or fill 'drop'")
    rows = rows.take(sorted(set(range(len(rows.rows))) - set(incomplete)))
    arrival, departure = (_moments(rows, name, columns) for name in (columns.start, columns.end))
    energy = rows.numbers(columns.energy)
    odd = (departure <= arrival) | (energy < 0.0)
    if odd.any() and fill == "none":
        row = int(np.argmax(odd))
        if energy[row] < 0.0:
            raise rows.error(row, columns.energy, "an energy of at least 0")
        raise rows.error(row, columns.end, f"an end after the start, {rows.texts(columns.start)[row]}")
    kept = np.flatnonzero(~odd)
    if not len(kept):
        raise DataError(rows.file, columns.energy, "no session", "at least one whole session")
    user = rows.texts(columns.user) if columns.user else [""] * len(rows.rows)
    return ChargingSessions(
        file=rows.file,
        arrival=arrival[kept],
        departure=departure[kept],
        energy_kwh=energy[kept],
        user=tuple(user[row] for row in kept),
        dropped=total - len(kept),
    )


def _moments(rows: Table, column: str, columns: SessionColumns) -> Moments:
    """Times of single events: in the hour that is repeated in autumn, the first of the two is meant."""
    try:
        zone = ZoneInfo(columns.zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        expected = "a time zone such as Europe/Copenhagen"
        raise ConfigError(rows.file, "session_columns.zone", columns.zone, expected) from error
    return clock.events(rows, column, zone, columns.form)
