"""Profiles of the elements of a grid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from totalflex_env.errors import DataError
from totalflex_env.recorded import profiles

Write = Callable[[str, str], Path]


def test_power_moves_evenly_between_hours(write: Write) -> None:
    found = profiles.power(write("p.csv", "time,0,7\n2025-01-01 00:00,1,0.5\n2025-01-01 01:00,3,0.5\n"))
    assert found[0].values.tolist() == [1.0, 1.5, 2.0, 2.5, 3.0, 3.0, 3.0, 3.0]
    assert found[7].values.tolist() == [0.5] * 8 and found[7].minutes == 15


@pytest.mark.parametrize("head", ["time,load one", "time"])
def test_columns_are_indices(head: str, write: Write) -> None:
    cells = ",1" * head.count(",")
    with pytest.raises(DataError, match=r"columns = .*: expected times, then indices of pandapower loads"):
        profiles.power(write("p.csv", f"{head}\n2025-01-01 00:00{cells}\n"))
