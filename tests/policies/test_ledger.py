"""What a comparison has finished is found again, whole and only where it belongs."""

from __future__ import annotations

import pickle
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from policies.ledger import Ledger
from totalflex_env.errors import DataError
from totalflex_env.evaluation.results import Results

DAYS = (7, 8)


def results() -> Results:
    """Two days in which nothing happens."""
    arrays = {field.name: np.zeros(len(DAYS)) for field in fields(Results) if field.name not in {"seeds", "program"}}
    return Results(DAYS, **arrays)


def kept(folder: Path) -> Ledger:
    ledger = Ledger(folder, resume=True)
    ledger.keep("task", results())
    return ledger


def test_what_was_kept_is_found_under_its_own_task(tmp_path: Path) -> None:
    ledger = kept(tmp_path / "partial")
    found = ledger.find("task", DAYS)
    assert found is not None and found.seeds == DAYS
    np.testing.assert_array_equal(found.cost_eur, results().cost_eur)
    assert ledger.find("another task", DAYS) is None
    assert [file.suffix for file in (tmp_path / "partial").iterdir()] == [".pickle"]


def test_without_resume_nothing_is_found_and_the_beginning_forgets_all(tmp_path: Path) -> None:
    ledger = kept(tmp_path / "partial")
    ledger.begin()
    assert ledger.find("task", DAYS) is not None
    again = replace(ledger, resume=False)
    assert again.find("task", DAYS) is None
    again.begin()
    assert not (tmp_path / "partial").exists()
    again.begin()


def test_the_end_removes_the_folder(tmp_path: Path) -> None:
    kept(tmp_path / "partial").close()
    assert not (tmp_path / "partial").exists()


@pytest.mark.parametrize(
    ("content", "complaint"), [(results(), "expected results of days"), ([1, 2], "expected Results")]
)
def test_what_does_not_belong_there_is_refused(tmp_path: Path, content: object, complaint: str) -> None:
    ledger = kept(tmp_path)
    [file] = tmp_path.iterdir()
    file.write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match=complaint):
        ledger.find("task", (7, 9))
