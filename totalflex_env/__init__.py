"""TotalFlex: a marketplace for energy flexibility, simulated on real grids, optimised, learned, run on real devices."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from totalflex_env.envs.parallel import env, parallel_env
    from totalflex_env.evaluation.show import show_day

__version__ = "0.1.0"

__all__ = ["__version__", "env", "parallel_env", "show_day"]

# The views bring torch and the grid libraries with them, which take seconds to import: they come when first asked for.
_LATE = {
    "env": "totalflex_env.envs.parallel",
    "parallel_env": "totalflex_env.envs.parallel",
    "show_day": "totalflex_env.evaluation.show",
}


def __getattr__(name: str) -> object:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LATE[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
