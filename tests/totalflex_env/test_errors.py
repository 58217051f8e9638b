from __future__ import annotations

import pickle

import pytest

from totalflex_env.errors import (
    ConfigError,
    DataError,
    GridError,
    MissingExtraError,
    OfferError,
    PhysicsError,
    TotalFlexError,
    exit_on_error,
)

CONFIG = ConfigError("env/street.yaml", "ev.share", 1.5, "a number from 0 to 1")

LINES = [
    (CONFIG, "env/street.yaml: ev.share = 1.5: expected a number from 0 to 1"),
    (DataError("prices.csv", "row 7", "abc", "a number"), "prices.csv: row 7 = abc: expected a number"),
    (GridError("line 3", 0.0, "a length above 0"), "grid: line 3 = 0.0: expected a length above 0"),
    (OfferError("ev-1", "min <= max", (2, 1)), "flex-offer ev-1: (2, 1) breaks the rule: min <= max"),
    (PhysicsError("the battery of row 0 is below empty"), "the battery of row 0 is below empty"),
    (MissingExtraError("pandapower", "grid"), 'pandapower is not installed; run: pip install "totalflex[grid]"'),
]


@pytest.mark.parametrize(("error", "line"), LINES)
def test_every_error_is_one_line_that_names_its_parts(error: TotalFlexError, line: str) -> None:
    assert str(error) == line


@pytest.mark.parametrize("error", [error for error, _ in LINES])
def test_errors_cross_process_borders(error: TotalFlexError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)


def test_several_config_errors_are_one_line_each() -> None:
    both = ConfigError("env/street.yaml", "slots", -1, "a whole number above 0", also=[CONFIG])
    assert str(both).splitlines() == ["env/street.yaml: slots = -1: expected a whole number above 0", str(CONFIG)]


def test_a_long_or_broken_value_stays_on_one_short_line() -> None:
    line = str(DataError("a.csv", "text", "x\n" * 500, "less"))
    assert "\n" not in line
    assert len(line) < 200


def test_the_command_line_shows_the_line_and_returns_two(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> int:
        raise CONFIG

    assert exit_on_error(fails) == 2
    assert capsys.readouterr().err == f"error: {CONFIG}\n"


def test_the_command_line_passes_status_and_foreign_errors_through() -> None:
    def breaks() -> int:
        raise ZeroDivisionError

    assert exit_on_error(lambda: 1) == 1
    with pytest.raises(ZeroDivisionError):
        exit_on_error(breaks)
