"""SimBench grids with the 15-minute profiles of their loads and static generators, kept in the user's cache directory.

SimBench (Meinecke et al., "SimBench: a benchmark dataset of electric power systems", Energies 13(12), 2020) takes about
ten seconds to build a grid from its tables. The data comes with the `simbench` package, under the ODbL 1.0.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import simbench
from numpy.typing import NDArray

from totalflex_env.errors import ConfigError, DataError
from totalflex_env.units import kw_from_mw

_LOADER_VERSION = 1  # raise it whenever the content of the cache changes


@dataclass(frozen=True, eq=False)
class SimbenchNet:
    """A grid and the profiles of 2016, a leap year: T = 35,136 steps of 15 minutes, no daylight saving."""

    net: Any  # pandapower net without profiles, tap positions in effect
    load_bus: NDArray[np.int64]  # [n] pandapower bus index
    load_kw: NDArray[np.float32]  # [T, n]
    load_kvar: NDArray[np.float32]  # [T, n]
    sgen_bus: NDArray[np.int64]  # [m]
    sgen_kw: NDArray[np.float32]  # [T, m] production, >= 0


def load(code: str) -> SimbenchNet:
    """The grid of a SimBench code such as "1-LV-rural1--0-sw", from the cache where it is there."""
    if code not in simbench.collect_all_simbench_codes():
        raise ConfigError("SimBench", "grid.code", code, 'a code that SimBench knows, such as "1-LV-rural1--0-sw"')
    path = cache_path(code)
    if not path.exists():
        _write(_build(code), path)
    return _read(path)  # what was just built, too, so that the first load equals every later one


def cache_path(code: str) -> Path:
    """Where a grid is kept: below $TOTALFLEX_CACHE_DIR, else $XDG_CACHE_HOME/totalflex, else ~/.cache/totalflex."""
    own, shared = os.environ.get("TOTALFLEX_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME")
    root = Path(own) if own else (Path(shared) if shared else Path.home() / ".cache") / "totalflex"
    versions = f"simbench-{version('simbench')}_pandapower-{version('pandapower')}_loader-{_LOADER_VERSION}"
    return root / "simbench" / versions / f"{code}.npz"


def _build(code: str) -> SimbenchNet:
    net = simbench.get_simbench_net(code)
    for table in ("load", "sgen"):
        if net[table].profile.isna().any() or simbench.profiles_are_missing(net):
            raise DataError(code, f"{table}.profile", "missing", f"a profile for every {table} of the grid")
    # SimBench leaves the type of tap changer open, and pandapower >= 3 then ignores the tap position.
    net.trafo["tap_changer_type"] = "Ratio"
    year = simbench.get_absolute_values(net, profiles_instead_of_study_cases=True)
    del net["profiles"]
    return SimbenchNet(
        net=net,
        load_bus=net.load.bus.to_numpy(dtype=np.int64),
        load_kw=_kilo(year["load", "p_mw"][net.load.index]),
        load_kvar=_kilo(year["load", "q_mvar"][net.load.index]),
        sgen_bus=net.sgen.bus.to_numpy(dtype=np.int64),
        sgen_kw=_kilo(year["sgen", "p_mw"][net.sgen.index]),
    )


def _kilo(mega: Any) -> NDArray[np.float32]:
    return kw_from_mw(np.asarray(mega, dtype=np.float64)).astype(np.float32)


def _write(loaded: SimbenchNet, path: Path) -> None:
    """Write one file, whole or not at all: several processes may load the same grid for the first time at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            np.savez_compressed(file, **{**vars(loaded), "net": np.array(pp.to_json(loaded.net))})
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _read(path: Path) -> SimbenchNet:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            fields = {name: arrays[name] for name in arrays.files}
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(str(path), "file", "unreadable", "a grid from the cache; delete the file") from error
    net = pp.from_json_string(str(fields.pop("net")))
    return SimbenchNet(net=net, **fields)
