"""Files of Energinet's Energi Data Service (energidataservice.dk), as CSV or JSON, newest first or last.

The data is Energinet's under CC BY 4.0; credit "Source: Energinet (www.energidataservice.dk)".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from totalflex_env.errors import DataError
from totalflex_env.recorded import clock, table
from totalflex_env.recorded.series import Fill, Series, regular
from totalflex_env.recorded.table import Array, Table
from totalflex_env.units import eur_per_kwh, kw_from_mw

SPOT = {"SpotPriceEUR": 60, "DayAheadPriceEUR": 15}
"""Price column of Elspotprices (until 2025-09-30) and of DayAheadPrices (since then), with its step in minutes."""

DKK_PER_EUR = 7.46038
"""Central rate of the Danish krone in ERM II, from which it has not moved by more than half a per cent."""

LEADS = ("ForecastDayAhead", "ForecastIntraday", "Forecast5Hour", "Forecast1Hour", "ForecastCurrent")
"""Columns of Forecasts_Hour, the farthest first; the last one is the outcome as far as it is known."""


@dataclass(frozen=True, eq=False)
class Tariff:
    """A price of DatahubPricelist that holds from one day until before another."""

    owner: str
    code: str
    note: str
    first: date
    until: date | None  # None: until further notice
    price: Array  # [24] EUR/kWh by local hour, without value-added tax


def spot(path: str | Path, area: str, fill: Fill = "none") -> Series:
    """Return the day-ahead price of an area in EUR/kWh, from Elspotprices (hours) or DayAheadPrices (quarter-hours)."""
    rows = _of_area(_read(path), area)
    column = next((name for name in SPOT if name in rows.columns), "SpotPriceEUR")
    prices = rows.numbers(column)
    if prices.size and np.nanmax(np.abs(prices)) > 10_000.0:
        row = int(np.nanargmax(np.abs(prices)))
        raise rows.error(row, column, "a price in EUR/MWh between -10000 and 10000; is the decimal sign right?")
    return regular(rows, column, _times(rows), SPOT[column], fill).scaled(eur_per_kwh(1.0))


def imbalance(path: str | Path, area: str, fill: Fill = "none") -> Series:
    """Return the imbalance price of an area in EUR/kWh.

    It comes from RegulatingBalancePowerdata (hours, until 2025-03-04) or ImbalancePrice (quarter-hours, since then).
    """
    rows = _of_area(_read(path), area)
    hourly = "HourUTC" in rows.columns
    return regular(rows, "ImbalancePriceEUR", _times(rows), 60 if hourly else 15, fill).scaled(eur_per_kwh(1.0))


def forecasts(path: str | Path, area: str, kind: str = "Solar", fill: Fill = "none") -> dict[str, Series]:
    """Return the forecasts of Forecasts_Hour and the outcome in kW, by column; `kind` is a ForecastType.

    An hour that all columns lack is missing in all of them; `fill` is applied to each column alone.
    """
    rows = _of_area(_read(path), area)
    chosen = rows.where("ForecastType", lambda text: text == kind)
    if not chosen.rows:
        raise DataError(rows.file, "ForecastType", ", ".join(sorted(set(rows.texts("ForecastType")))), f"{kind!r}")
    times = _times(chosen)
    return {lead: regular(chosen, lead, times, 60, fill).scaled(kw_from_mw(1.0)) for lead in LEADS}


def energy(path: str | Path, column: str, area: str = "", fill: Fill = "none") -> Series:
    """Return an hourly energy in kWh, such as "OnshoreWindMWh" of ProductionMunicipalityHour.

    Datasets with price areas, such as ProductionConsumptionSettlement, need `area`; those by municipality need the
    file to hold one municipality only.
    """
    rows = _read(path)
    rows = _of_area(rows, area) if "PriceArea" in rows.columns else rows
    return regular(rows, column, _times(rows), 60, fill).scaled(kw_from_mw(1.0))


def tariffs(path: str | Path, owner: str = "") -> list[Tariff]:
    """Return the tariffs of DatahubPricelist in EUR/kWh, of one charge owner where it is named.

    Subscriptions and fees, which are not paid per kWh, are left out. A tariff of the whole day states its first price
    only.
    """
    rows = _read(path).where("ChargeType", lambda text: text == "D03")
    if owner:
        rows = rows.where("ChargeOwner", lambda text: text == owner)
    prices = np.stack([rows.numbers(f"Price{hour}") for hour in range(1, 25)], axis=1)
    first, until = rows.texts("ValidFrom"), rows.texts("ValidTo")
    found = []
    for row, daily in enumerate(rows.texts("ResolutionDuration")):
        day = np.full(24, prices[row, 0]) if daily == "P1D" else prices[row]
        if len(empty := np.flatnonzero(np.isnan(day))):
            raise rows.error(row, f"Price{empty[0] + 1}", "a price")
        end = _day(rows, row, "ValidTo") if until[row] else None
        if end is not None and end <= _day(rows, row, "ValidFrom"):
            raise rows.error(row, "ValidTo", f"a day after {first[row]}, or nothing")
        owned, code, note = (rows.texts(name)[row] for name in ("ChargeOwner", "ChargeTypeCode", "Note"))
        found.append(Tariff(owned, code, note, _day(rows, row, "ValidFrom"), end, day / DKK_PER_EUR))
    if not found:
        raise DataError(str(path), "ChargeType", "no rows", f"tariffs (D03) of {owner or 'any charge owner'}")
    return found


def _read(path: str | Path) -> Table:
    json = Path(path).suffix.lower() == ".json"
    return table.read_json(path, "records") if json else table.read_csv(path)


def _of_area(rows: Table, area: str) -> Table:
    found = rows.where("PriceArea", lambda text: text == area)
    if not found.rows:
        raise DataError(rows.file, "PriceArea", ", ".join(sorted(set(rows.texts("PriceArea")))), f"rows of {area!r}")
    return found


def _times(rows: Table) -> clock.Moments:
    """Moments of all rows, of which the Danish time must say the same where it stands."""
    stem = "Hour" if "HourUTC" in rows.columns else "Time"
    if f"{stem}DK" in rows.columns:
        clock.check_same(rows, f"{stem}UTC", f"{stem}DK")
    return clock.moments(rows, f"{stem}UTC")


def _day(rows: Table, row: int, column: str) -> date:
    try:
        return date.fromisoformat(rows.texts(column)[row][:10])
    except ValueError:
        raise rows.error(row, column, "a day like 2025-01-31") from None
