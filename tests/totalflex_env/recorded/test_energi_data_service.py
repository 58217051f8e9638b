"""Files as Energi Data Service gives them: CSV and JSON, newest first, hours and quarter-hours."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from totalflex_env.errors import DataError
from totalflex_env.recorded import clock
from totalflex_env.recorded import energi_data_service as eds
from totalflex_env.recorded.series import to_quarter_hours

Write = Callable[[str, str], Path]
DENMARK = ZoneInfo("Europe/Copenhagen")


def stamps(day: date, minutes: int, seconds: bool = True) -> list[tuple[str, str]]:
    """UTC and Danish time of all intervals of a local day, newest first."""
    begin = datetime(day.year, day.month, day.day, tzinfo=DENMARK).astimezone(UTC)
    count = clock.quarter_hours(day) * 15 // minutes
    form = "%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M"
    times = [begin + timedelta(minutes=minutes * i) for i in reversed(range(count))]
    return [(time.strftime(form), time.astimezone(DENMARK).strftime(form)) for time in times]


def spot_csv(day: date, price: str = "100,5", seconds: bool = True) -> str:
    rows = [f"{utc};{local};DK1;750,0;{price}" for utc, local in stamps(day, 60, seconds)]
    return "\n".join(["HourUTC;HourDK;PriceArea;SpotPriceDKK;SpotPriceEUR", *rows]) + "\n"


@pytest.mark.parametrize("seconds", [True, False])
@pytest.mark.parametrize(("day", "hours"), [(date(2024, 3, 31), 23), (date(2024, 10, 27), 25), (date(2024, 5, 1), 24)])
def test_hourly_spot_prices_on_both_days_of_the_clock(day: date, hours: int, seconds: bool, write: Write) -> None:
    found = eds.spot(write("spot.csv", spot_csv(day, seconds=seconds)), "DK1")
    assert found.minutes == 60 and len(found.values) == hours
    assert found.values == pytest.approx(np.full(hours, 0.1005))
    assert found.begin == clock.moment(day, 0)
    quarters = to_quarter_hours(found, "repeat")
    assert len(quarters.values) == clock.quarter_hours(day) == 4 * hours and quarters.end == found.end


def test_quarter_hourly_spot_prices_as_json(write: Write) -> None:
    day = date(2025, 10, 26)
    records = [
        {"TimeUTC": utc.replace(" ", "T"), "TimeDK": local.replace(" ", "T"), "PriceArea": area, "DayAheadPriceEUR": i}
        for i, (utc, local) in enumerate(stamps(day, 15))
        for area in ("DK1", "DK2")
    ]
    found = eds.spot(write("spot.json", json.dumps({"total": 200, "records": records})), "DK2")
    assert found.minutes == 15 and found.values == pytest.approx(np.arange(99, -1, -1) / 1e3)
    assert found.begin == clock.moment(day, 0)


def test_imbalance_prices_of_both_eras(write: Write) -> None:
    hours = stamps(date(2024, 5, 1), 60)
    rows = [f"{utc};{local};DK1;-12,0;{25.5 + i:.6f}".replace(".", ",") for i, (utc, local) in enumerate(hours)]
    head = "HourUTC;HourDK;PriceArea;ImbalanceMWh;ImbalancePriceEUR"
    hourly = eds.imbalance(write("old.csv", "\n".join([head, *rows])), "DK1")
    assert hourly.minutes == 60 and hourly.values[-1] == pytest.approx(0.0255)
    rows = [f"{utc};{local};DK1;{-i}" for i, (utc, local) in enumerate(stamps(date(2025, 5, 1), 15, False))]
    fine = eds.imbalance(write("new.csv", "\n".join(["TimeUTC;TimeDK;PriceArea;ImbalancePriceEUR", *rows])), "DK1")
    assert fine.minutes == 15 and len(fine.values) == 96 and fine.values[0] == pytest.approx(-0.095)


def test_forecasts_are_power_and_their_gaps_are_counted(write: Write) -> None:
    head = ";".join(("HourUTC;HourDK;PriceArea;ForecastType", *eds.LEADS))
    hours = stamps(date(2024, 5, 1), 60)
    rows = [f"{u};{d};DK1;Solar;10,0;;12,5;12,0;{'' if i == 3 else 11}" for i, (u, d) in enumerate(hours)]
    rows += [f"{u};{d};DK1;Onshore Wind;1,0;1;1;1;1" for u, d in hours]
    path = write("f.csv", "\n".join([head, *rows]))
    wind = eds.forecasts(path, "DK1", "Onshore Wind")
    assert wind["ForecastIntraday"].values.tolist() == [1000.0] * 24
    with pytest.raises(DataError, match=r"ForecastIntraday = nothing at .* \(missing: 24\)"):
        eds.forecasts(path, "DK1")
    solar = eds.forecasts(path, "DK1", fill="drop")
    assert (solar["ForecastIntraday"].filled, solar["ForecastCurrent"].filled, solar["Forecast5Hour"].filled) == (
        24,
        1,
        0,
    )
    with pytest.raises(DataError, match=r"ForecastType = Onshore Wind, Solar: expected 'Offshore Wind'"):
        eds.forecasts(path, "DK1", "Offshore Wind")


def test_production_is_energy(write: Write) -> None:
    rows = [f"{u};{d};706;0,5;;0,25" for u, d in stamps(date(2024, 5, 1), 60)]
    head = "HourUTC;HourDK;MunicipalityNo;SolarMWh;OffshoreWindLt100MW_MWh;OnshoreWindMWh"
    path = write("p.csv", "\n".join([head, *rows]))
    assert to_quarter_hours(eds.energy(path, "OnshoreWindMWh"), "divide").values.tolist() == [62.5] * 96
    assert eds.energy(path, "SolarMWh").values.sum() == pytest.approx(12_000.0)
    with pytest.raises(DataError, match="OffshoreWindLt100MW_MWh = nothing at"):
        eds.energy(path, "OffshoreWindLt100MW_MWh")
    settled = "\n".join(f"{u};{d};{area};2,5" for u, d in stamps(date(2024, 5, 1), 60) for area in ("DK1", "DK2"))
    path = write("s.csv", f"HourUTC;HourDK;PriceArea;OnshoreWindLt50kW_MWh\n{settled}")
    assert eds.energy(path, "OnshoreWindLt50kW_MWh", "DK2").values.tolist() == [2500.0] * 24


def tariff(
    first: str, until: str, duration: str = "PT1H", kind: str = "D03", price: float = 0.746038
) -> dict[str, object]:
    prices = {f"Price{hour}": price * hour if duration == "PT1H" or hour == 1 else None for hour in range(1, 25)}
    names = {"ChargeOwner": "Net A", "ChargeType": kind, "ChargeTypeCode": "T1", "Note": "Nettarif C"}
    return {**names, "ValidFrom": first, "ValidTo": until, "ResolutionDuration": duration, **prices}


def test_tariffs_are_euro_by_local_hour(write: Write) -> None:
    records = [
        tariff("2025-01-01T00:00:00", "2025-04-01T00:00:00"),
        tariff("2025-04-01T00:00:00", "", "P1D"),
        tariff("2025-01-01T00:00:00", "", kind="D01"),
    ]
    winter, flat = eds.tariffs(write("t.json", json.dumps({"records": records})), "Net A")
    assert winter.price == pytest.approx(np.arange(1, 25) / 10.0)
    assert (winter.first, winter.until) == (date(2025, 1, 1), date(2025, 4, 1))
    assert flat.until is None and flat.price == pytest.approx(np.full(24, 0.1))
    with pytest.raises(DataError, match=r"expected tariffs \(D03\) of Net B"):
        eds.tariffs(write("t.json", json.dumps({"records": records})), "Net B")
    backwards = [tariff("2025-04-01T00:00:00", "2025-01-01T00:00:00")]
    with pytest.raises(DataError, match="record 1, ValidTo = 2025-01-01T00:00:00: expected a day after 2025-04-01"):
        eds.tariffs(write("t.json", json.dumps({"records": backwards})))


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("100,5", "100.5", "row 2, SpotPriceEUR = 100.5: expected a number with a decimal comma"),
        ("100,5", "100500000", "row 2, SpotPriceEUR = 100500000: expected a price in EUR/MWh between"),
        ("DK1", "DE", "PriceArea = DE: expected rows of 'DK1'"),
        ("2024-05-01 12:00:00;", "2024-05-01 13:00:00;", "HourDK = 2024-05-01 14:00:00: expected 2024-05-01 15:00:00"),
        ("2024-05-01 12:00:00;2024-05-01 14:00:00", "2024-05-01 13:00:00;2024-05-01 15:00:00", "row 10 has it, too"),
        ("2024-05-01 12:00:00;2024-05-01 14:00:00;DK1", "2024-05-01 12:00:00;2024-05-01 14:00:00;DK2", r"missing: 1\)"),
        ("SpotPriceEUR", "SpotPrice", "expected a column 'SpotPriceEUR' among them"),
        (
            "2024-05-01 12:00:00;",
            "2024-05-01 12:00:00+00:00;",
            "HourUTC = .*: expected an offset from UTC in every row",
        ),
        ("2024-05-01 12:00:00;", "01-05-2024 12:00:00;", "row 11, HourUTC = 01-05-2024 12:00:00: expected a time like"),
    ],
)
def test_bad_input_is_named(old: str, new: str, line: str, write: Write) -> None:
    text = spot_csv(date(2024, 5, 1))
    assert old in text
    with pytest.raises(DataError, match=line):
        eds.spot(write("bad.csv", text.replace(old, new)), "DK1")


def test_the_file_without_the_planted_fault_is_fine(write: Write) -> None:
    assert len(eds.spot(write("good.csv", spot_csv(date(2024, 5, 1))), "DK1").values) == 24
