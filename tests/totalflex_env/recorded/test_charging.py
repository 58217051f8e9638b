"""Sessions of vehicles from JSON and from CSV of any layout; one that cannot be is named, or dropped and counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from totalflex_env.data_config import SessionColumns
from totalflex_env.errors import ConfigError, DataError
from totalflex_env.recorded import charging

Write = Callable[[str, str], Path]

HEAD = "session_ID;User_ID;Start_plugin;End_plugout;El_kWh\n"
GOOD = "1;a;21.12.2018 16:15;22.12.2018 07:40;15,56\n2;b;01.07.2019 22:03;01.07.2019 23:02;3,62\n"


def test_sessions_of_trondheim_are_in_norwegian_time(write: Write) -> None:
    found = charging.from_csv(write("t.csv", HEAD + GOOD), charging.TRONDHEIM)
    assert [str(each) for each in found.arrival] == ["2018-12-21T15:15", "2019-07-01T20:03"]
    assert [str(each) for each in found.departure] == ["2018-12-22T06:40", "2019-07-01T21:02"]
    assert found.energy_kwh.tolist() == [15.56, 3.62] and found.user == ("a", "b") and found.dropped == 0


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (
            "3;a;21.12.2018 16:15;21.12.2018 15:40;1,0",
            "row 4, End_plugout = 21.12.2018 15:40: expected an end after the",
        ),
        (
            "3;a;21.12.2018 16:15;21.12.2018 16:15;1,0",
            "row 4, End_plugout = 21.12.2018 16:15: expected an end after the",
        ),
        (
            "3;a;21.12.2018 16:15;NA;1,0",
            r"row 4, End_plugout = NA: expected a value .* \(missing in 1\), or fill 'drop'",
        ),
        ("3;a;;21.12.2018 15:40;1,0", r"row 4, Start_plugin = \(empty\): expected a value"),
        ("3;a;21.12.2018 16:15;22.12.2018 15:40;", r"row 4, El_kWh = \(empty\): expected a value"),
        ("3;a;21.12.2018 16:15;22.12.2018 15:40;-1,0", "row 4, El_kWh = -1,0: expected an energy of at least 0"),
    ],
)
def test_impossible_sessions_are_named_or_dropped_and_counted(row: str, line: str, write: Write) -> None:
    path = write("bad.csv", HEAD + GOOD + row + "\n")
    with pytest.raises(DataError, match=line):
        charging.from_csv(path, charging.TRONDHEIM)
    found = charging.from_csv(path, charging.TRONDHEIM, fill="drop")
    assert len(found.arrival) == 2 and found.dropped == 1


@pytest.mark.parametrize("row", ["3;a;21.12.2018;22.12.2018 15:40;1,0", "3;a;21.12.2018 16:15;22.12.2018 15:40;1.0"])
def test_what_cannot_be_read_is_never_dropped(row: str, write: Write) -> None:
    with pytest.raises(DataError, match="row 4"):
        charging.from_csv(write("bad.csv", HEAD + GOOD + row + "\n"), charging.TRONDHEIM, fill="drop")


def test_a_file_of_nothing_but_faults_is_an_error(write: Write) -> None:
    path = write("bad.csv", HEAD + "3;a;21.12.2018 16:15;;1,0\n")
    with pytest.raises(DataError, match="no session: expected at least one whole session"):
        charging.from_csv(path, charging.TRONDHEIM, fill="drop")


def test_sessions_of_elaad_and_of_anyone(write: Write) -> None:
    head = "TransactionId;UTCTransactionStart;UTCTransactionStop;StartCard;TotalEnergy"
    text = f"{head}\n7;01-02-2019 08:00;01-02-2019 17:30;c;8,11\n"
    found = charging.from_csv(write("e.csv", text), charging.ELAADNL)
    assert str(found.arrival[0]) == "2019-02-01T08:00" and found.energy_kwh[0] == 8.11
    own = SessionColumns(start="in", end="out", energy="kwh", zone="Europe/Copenhagen")
    found = charging.from_csv(write("o.csv", "in,out,kwh\n2025-10-26T02:30,2025-10-26T04:00,5.5\n"), own)
    assert str(found.arrival[0]) == "2025-10-26T00:30" and found.user == ("",)
    wrong = SessionColumns(start="in", end="out", energy="kwh", zone="Europe/Aarhus")
    with pytest.raises(ConfigError, match=r"session_columns\.zone = Europe/Aarhus: expected a time zone"):
        charging.from_csv(write("o.csv", "in,out,kwh\n2025-10-26T02:30,2025-10-26T04:00,5.5\n"), wrong)


def test_acn_data_as_its_interface_gives_it(write: Write) -> None:
    item = {
        "connectionTime": "Wed, 25 Apr 2018 11:08:04 GMT",
        "disconnectTime": "Wed, 25 Apr 2018 13:20:10 GMT",
        "doneChargingTime": None,
        "kWhDelivered": 7.932,
        "userID": None,
        "userInputs": [{"kWhRequested": 10.0}],
    }
    found = charging.from_acn(write("acn.json", json.dumps({"_items": [item], "_meta": {}})))
    assert (str(found.arrival[0]), str(found.departure[0])) == ("2018-04-25T11:08", "2018-04-25T13:20")
    assert found.energy_kwh[0] == 7.932 and found.user == ("",)
    backwards = {**item, "disconnectTime": "Wed, 25 Apr 2018 11:00:00 GMT"}
    with pytest.raises(
        DataError, match="record 2, disconnectTime = Wed, 25 Apr 2018 11:00:00 GMT: expected an end after"
    ):
        charging.from_acn(write("acn.json", json.dumps({"_items": [item, backwards]})))
