"""Grids are read from pandapower's JSON, and what is none is refused."""

from __future__ import annotations

from pathlib import Path

import pandapower as pp
import pytest

from totalflex_env.errors import DataError
from totalflex_env.grid import network
from totalflex_env.recorded import grid_json


def test_json_is_read_and_what_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "grid.json"
    pp.to_json(network.two_house_feeder(), str(path))
    assert network.from_pandapower(grid_json.load(path)).node_of_bus == {1: 0, 2: 1, 3: 2}
    path.write_text('{"a": 1')
    for bad in (path, tmp_path / "missing.json"):
        with pytest.raises(DataError, match=str(bad)):
            grid_json.load(bad)
    path.write_text("[1, 2]")
    with pytest.raises(DataError, match="pandapower net"):
        grid_json.load(path)
