"""Grids from pandapower's JSON files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandapower as pp

from totalflex_env.errors import DataError

_EXPECTED = "a pandapower net as JSON"


def load(path: str | Path) -> Any:
    """Return the pandapower net of a file; one that holds none is a DataError."""
    try:
        net = pp.from_json(str(path))
    except (OSError, ValueError, KeyError, AttributeError, UserWarning) as error:
        raise DataError(str(path), "file", type(error).__name__, _EXPECTED) from error
    if not isinstance(net, pp.pandapowerNet):
        raise DataError(str(path), "content", type(net).__name__, _EXPECTED)
    return net
