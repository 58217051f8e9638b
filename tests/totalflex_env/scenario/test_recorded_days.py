"""Recorded days are played as they were; what is not recorded goes with them; every fault in a file is one line."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import torch

from totalflex_env import batch
from totalflex_env.__main__ import main
from totalflex_env.config import EnvConfig
from totalflex_env.errors import ConfigError, DataError
from totalflex_env.recorded import clock
from totalflex_env.scenario.recorded_days import RecordedDays
from totalflex_env.scenario.sources import make_source

DENMARK = ZoneInfo("Europe/Copenhagen")
FIRST, HOURS = datetime(2024, 3, 1, 0, tzinfo=UTC), 24 * 70  # over the night in which the clock is put forward


def rows(cells: str, values: np.ndarray) -> str:
    """Newest first, as Energi Data Service gives it."""
    lines = []
    for hour in reversed(range(HOURS)):
        time = FIRST + timedelta(hours=hour)
        stamps = f"{time:%Y-%m-%d %H:%M:%S};{time.astimezone(DENMARK):%Y-%m-%d %H:%M:%S}"
        lines.append(f"{stamps};{cells}{values[hour]:.6f}".replace(".", ","))
    return "\n".join(lines) + "\n"


PRICES = 80.0 + 50.0 * np.sin(np.arange(HOURS) / 9.0)
SPREAD = np.where(np.arange(HOURS) % 3 == 0, 30.0, np.where(np.arange(HOURS) % 3 == 1, -10.0, 0.0))
BLOWN = 2.0 + 2.0 * np.cos(np.arange(HOURS) / 20.0)
WARMTH = 8.0 + 4.0 * np.cos(np.arange(HOURS) / 12.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made files of prices, wind, temperature and sessions for ten weeks."""
    path = tmp_path_factory.mktemp("recorded")
    (path / "spot.csv").write_text("HourUTC;HourDK;PriceArea;SpotPriceEUR\n" + rows("DK1;", PRICES))
    paid = rows("DK1;", PRICES + SPREAD)
    (path / "imbalance.csv").write_text("HourUTC;HourDK;PriceArea;ImbalancePriceEUR\n" + paid)
    (path / "wind.csv").write_text("HourUTC;HourDK;OnshoreWindMWh\n" + rows("", BLOWN))
    degrees = (f"{(FIRST + timedelta(hours=i)).isoformat()},{WARMTH[i]:.3f}" for i in range(HOURS))
    (path / "temperature.csv").write_text("\n".join(degrees))
    sessions = (f"a,2024-03-{day:02}T17:30,2024-03-{day + 1:02}T07:00,{5 + day}" for day in range(1, 28, 2))
    (path / "sessions.csv").write_text("user,in,out,kwh\n" + "\n".join(sessions))
    return path


def made(folder: Path, *names: str, **more: object) -> EnvConfig:
    """A configuration that plays the named files on two houses."""
    files = {name: str(folder / f"{name}.csv") for name in names}
    scenario = {"source": "recorded", "months": list(range(1, 13))}
    recorded = {**files, **{key: more.pop(key) for key in list(more) if key not in ("slots", "devices", "scenario")}}
    fields = {"name": "made", "grid": {"source": "two_house"}, "scenario": scenario, "recorded": recorded}
    return EnvConfig.model_validate({**fields, **more})


def source_of(config: EnvConfig) -> RecordedDays:
    source = make_source(config)
    assert isinstance(source, RecordedDays)
    return source


EVERYTHING = ("spot", "imbalance", "wind", "temperature")


def hour_of(begin: np.datetime64) -> int:
    return int((begin - clock.as_moments([FIRST])[0]) / np.timedelta64(60, "m"))


@pytest.mark.parametrize("day", [date(2024, 3, 30), date(2024, 3, 31), date(2024, 4, 20)])
def test_a_day_is_played_as_it_was(day: date, folder: Path) -> None:
    """From local noon to noon, also over the night of the clock, when noon is 25 hours of winter time later."""
    actual, expected = source_of(made(folder, *EVERYTHING, first_day=day, last_day=day)).draw([5])
    first = hour_of(clock.moment(day, 12))
    assert clock.local(clock.moment(day, 12)) == datetime(day.year, day.month, day.day, 12, tzinfo=DENMARK)
    hours = slice(first, first + 24)
    price, paid = (np.repeat(part[hours], 4) / 1e3 for part in (PRICES, PRICES + SPREAD))
    np.testing.assert_allclose(actual.spot[0], price, atol=1e-8)
    np.testing.assert_allclose(actual.up[0], np.maximum(price, paid), atol=1e-8)
    np.testing.assert_allclose(actual.down[0], np.minimum(price, paid), atol=1e-8)
    np.testing.assert_allclose(actual.temperature[0, ::4], WARMTH[hours], atol=1e-3)
    share = actual.wind_kwh[0, ::4] / actual.wind_kwh[0, 0]
    np.testing.assert_allclose(share, BLOWN[hours] / BLOWN[first], rtol=1e-5)
    np.testing.assert_allclose((expected.up - expected.spot)[0], 0.01, atol=2e-4)  # 30 EUR/MWh in every third hour
    np.testing.assert_allclose((expected.spot - expected.down)[0], 0.01 / 3.0, atol=2e-4)


def test_a_row_is_its_seed_alone(folder: Path) -> None:
    source = source_of(made(folder, "spot"))
    together = source.draw([7, 123456789, 0])
    for row, seed in enumerate([7, 123456789, 0]):
        for ours, batched in zip(source.draw([seed]), together):
            assert batch.equal(ours, batch.take_rows(batched, torch.tensor([row])))


def test_without_a_wind_file_cheap_hours_are_windy(folder: Path) -> None:
    actual, _ = source_of(made(folder, "spot")).draw(list(range(400)))
    found = torch.corrcoef(torch.stack([actual.spot.flatten(), actual.wind_kwh.flatten()]))[0, 1]
    assert float(found) == pytest.approx(-0.5, abs=0.12)


def test_days_are_whole_and_within_what_is_asked_for(folder: Path) -> None:
    days = source_of(made(folder, "spot")).beginnings
    assert (days[0], days[-1], len(days)) == (date(2024, 3, 1), date(2024, 5, 8), 69)
    limited = source_of(made(folder, "spot", first_day=date(2024, 3, 10), last_day=date(2024, 3, 12)))
    assert limited.beginnings == (date(2024, 3, 10), date(2024, 3, 11), date(2024, 3, 12))
    weeks = {}
    for split in ("train", "validation", "test"):
        config = made(folder, "spot", scenario={"source": "recorded", "months": [3, 4, 5], "split": split})
        weeks[split] = {day.isocalendar()[:2] for day in source_of(config).beginnings}
    assert not weeks["train"] & weeks["test"] and not weeks["train"] & weeks["validation"]
    assert not weeks["validation"] & weeks["test"] and all(weeks.values())


def test_days_with_a_hole_are_dropped_where_that_is_asked_for(folder: Path, tmp_path: Path) -> None:
    text = (folder / "spot.csv").read_text().splitlines()
    (tmp_path / "spot.csv").write_text("\n".join(line for line in text if not line.startswith("2024-03-20 08")))
    with pytest.raises(DataError, match="nothing at 2024-03-20T08:00 UTC"):
        make_source(made(tmp_path, "spot"))
    kept = source_of(made(tmp_path, "spot", fill="drop"))
    assert kept.records.spot.filled == 1 and date(2024, 3, 19) not in kept.beginnings and len(kept.beginnings) == 68
    filled = source_of(made(tmp_path, "spot", fill="interpolate"))
    assert filled.records.spot.filled == 1 and len(filled.beginnings) == 69


def test_what_is_missing_is_counted_aloud(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One line for every file that lacks something, none for whole files."""
    text = (folder / "spot.csv").read_text().splitlines()
    (tmp_path / "spot.csv").write_text("\n".join(line for line in text if not line.startswith("2024-03-20 0")))
    sessions = (folder / "sessions.csv").read_text() + "\na,2024-03-28T17:30,,9\na,2024-03-29T17:30,2024-03-29T07:00,9"
    (tmp_path / "sessions.csv").write_text(sessions)
    columns = {"start": "in", "end": "out", "energy": "kwh", "user": "user", "zone": "Europe/Copenhagen"}
    source_of(made(tmp_path, "spot", "sessions", fill="drop", session_columns=columns, wind=str(folder / "wind.csv")))
    assert caplog.messages == [
        f"{tmp_path / 'spot.csv'}: 10 values missing (fill 'drop')",
        f"{tmp_path / 'sessions.csv'}: 2 sessions left out (fill 'drop')",
    ]
    caplog.clear()
    source_of(made(folder, "spot", "sessions", fill="previous", session_columns=columns))
    assert not caplog.messages


def test_sessions_are_those_of_the_file(folder: Path) -> None:
    columns = {"start": "in", "end": "out", "energy": "kwh", "user": "user", "zone": "Europe/Copenhagen"}
    config = made(folder, "spot", "sessions", session_columns=columns, devices={"ev": {"count": 2}})
    source = source_of(config)
    ev = source.config.devices.ev
    assert ev.pool[0] == (17.5, 13.5, 6.0) and len(ev.pool) == 14
    assert ev.plugged_share == pytest.approx(14 / 27)
    actual, _ = source.draw(list(range(60)))
    sessions = actual.habits[0]
    plugged = sessions.departure > sessions.arrival
    assert 0.35 < float(plugged.double().mean()) < 0.7
    assert set(sessions.arrival[plugged].tolist()) == {22}  # 17:30
    assert set(sessions.need_kwh[plugged].tolist()) <= {float(5 + day) for day in range(1, 28, 2)}


def test_the_program_says_in_one_line_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2 and no traceback, for a file that is not there and for days in the wrong order."""
    text = "name: made\ngrid: {source: two_house}\nscenario: {source: recorded}\nrecorded: {spot: nowhere.csv"
    for more, line in (
        ("", "nowhere.csv: file = FileNotFoundError: expected a readable UTF-8 text file"),
        (", first_day: 2025-01-02, last_day: 2025-01-01", "expected 'last_day' is not before 'first_day'"),
        (", fil: drop", "recorded.fil = drop: expected a known key, the nearest is 'fill'"),
    ):
        (tmp_path / "made.yaml").write_text(f"{text}{more}}}\n")
        assert main(["show", str(tmp_path / "made.yaml"), "--out", str(tmp_path / "day.png")]) == 2
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 1 and said[0].startswith("error: ") and line in said[0]


def test_houses_play_their_profiles(folder: Path, tmp_path: Path) -> None:
    times = [FIRST + timedelta(hours=i) for i in range(HOURS)]
    power = "\n".join(f"{each.isoformat()},{0.5 + each.hour / 10},{1.0}" for each in times)
    (tmp_path / "load.csv").write_text("time,0,1\n" + power)
    sun = "\n".join(f"{each.isoformat()},0,{max(0, 3 - abs(each.hour - 11))}" for each in times)
    (tmp_path / "pv.csv").write_text("time,0,1\n" + sun)
    files = {"load": str(tmp_path / "load.csv"), "pv": str(tmp_path / "pv.csv"), "first_day": date(2024, 4, 20)}
    actual, expected = source_of(made(folder, "spot", **files)).draw([3])
    assert actual.base_kwh[0, :, 1].tolist() == [0.25] * 96
    assert actual.base_kwh[0, :5, 0].tolist() == pytest.approx(
        [0.375, 0.38125, 0.3875, 0.39375, 0.4]
    )  # 12:00 is 10 UTC
    assert actual.pv_kwh[0, 4].tolist() == [0.0, 0.75] and (actual.pv_kwh[0, :, 0] == 0.0).all()
    assert (expected.pv_kwh[actual.pv_kwh == 0.0] == 0.0).all()
    (tmp_path / "pv.csv").write_text("time,0\n" + "\n".join(f"{each.isoformat()},0" for each in times))
    with pytest.raises(DataError, match="columns = 0: expected a column 1, like every load"):
        make_source(made(folder, "spot", **files))
    (tmp_path / "load.csv").write_text("time,0,1\n" + power.replace(",1.0", ",-1.0"))
    with pytest.raises(DataError, match=r"load\.csv: \d = -1\.0: expected power of at least 0 kW"):
        make_source(made(folder, "spot", **files))


def test_a_typical_year_is_laid_on_the_days_of_the_prices(folder: Path, tmp_path: Path) -> None:
    head = "made\n\nRG IS MM DD HH N WR WG t p x RF W B D IK A E IL\n***\n"
    lines = []
    for day in (date(2023, 1, 1) + timedelta(n) for n in range(365)):
        for hour in range(24):
            numbers = f"1 1 {day.month} {day.day} {hour + 1} 0 0 5.0 {day.month + hour / 100} 1000 4 80 0 0 0 1 0 0 1"
            lines.append(numbers)
    (tmp_path / "year.dat").write_text(head + "\n".join(lines))
    config = made(folder, "spot", temperature=str(tmp_path / "year.dat"), first_day=date(2024, 4, 20))
    actual, _ = source_of(config.model_copy(update={"slots": 4})).draw([1])
    assert actual.temperature[0, 0].item() == pytest.approx(4.11, abs=1e-9)  # noon by the clock, 11 in standard time


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"spot": ""}, "made: recorded.spot = : expected a file of prices, for scenario.source 'recorded'"),
        ({"spot": "nowhere.csv"}, "nowhere.csv: file = FileNotFoundError: expected a readable UTF-8 text file"),
        ({"area": "DK2"}, "PriceArea = DK1: expected rows of 'DK2'"),
        ({"first_day": date(2025, 1, 1)}, "expected a day of 96 slots that all files cover"),
        ({"sessions": "sessions.csv"}, "made: recorded.session_columns = None: expected the columns of a CSV file"),
    ],
)
def test_what_cannot_be_played_is_one_line(change: dict[str, object], line: str, folder: Path) -> None:
    config = made(folder, "spot")
    recorded = config.recorded.model_copy(update=change)
    with pytest.raises((ConfigError, DataError)) as caught:
        make_source(config.model_copy(update={"recorded": recorded}))
    assert line in str(caught.value) and "\n" not in str(caught.value)
