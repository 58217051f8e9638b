"""TotalFlex: a marketplace for energy flexibility, simulated on real grids, optimised, learned, run on real devices."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from totalflex_env.envs.parallel import env, parallel_env
    from totalflex_env.envs.vector import make_vec
    from totalflex_env.evaluation.show import show_day

__version__ = "0.1.0"

__all__ = ["__version__", "env", "make_vec", "parallel_env", "show_day"]

# The views bring torch and the grid libraries with them, which take seconds to import: they come when first asked for.
_LATE = {
    "env": "totalflex_env.envs.parallel",
    "make_vec": "totalflex_env.envs.vector",
    "parallel_env": "totalflex_env.envs.parallel",
    "show_day": "totalflex_env.evaluation.show",
}


def __getattr__(name: str) -> object:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LATE[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def _register() -> None:
    importlib.import_module("totalflex_env.envs.ids").register_all()


class _WhenGymnasiumComes(MetaPathFinder):
    """Registers our ids as soon as gymnasium is imported, which asks no package for its ids and takes half a second."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find gymnasium as it would be found without us, once, with the registration to follow its import."""
        if fullname != "gymnasium":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                _register()

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


if "gymnasium" in sys.modules:
    _register()
else:
    sys.meta_path.insert(0, _WhenGymnasiumComes())
