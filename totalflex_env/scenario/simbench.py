"""SimBench grids with the 15-minute profiles of loads, generators and storages, kept in the user's cache directory.

SimBench (Meinecke et al., "SimBench: a benchmark dataset of electric power systems", Energies 13(12), 2020) takes about
ten seconds to build a grid from its tables. The data comes with the `simbench` package, under the ODbL 1.0. What the
profiles stand for is in `simbench_houses.py`.
"""

from __future__ import annotations

import copy
import os
import tempfile
import zipfile
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import simbench
from numpy.typing import NDArray

from totalflex_env.errors import ConfigError, DataError
from totalflex_env.units import kw_from_mw, mw_from_kw

LOW_VOLTAGE_KV = 1.0
"""Nominal voltages below it are low voltage, IEC 60038."""

_LOADER_VERSION = 2  # raise it whenever the content of the cache changes


@dataclass(frozen=True, eq=False)
class SimbenchNet:
    """A grid and the profiles of 2016, a leap year: T = 35,136 steps of 15 minutes, no daylight saving."""

    net: Any  # pandapower net without profiles, tap positions in effect
    load_bus: NDArray[np.int64]  # [n] pandapower bus index
    load_kv: NDArray[np.float64]  # [n] nominal voltage of that bus
    load_profile: NDArray[np.str_]  # [n] name, such as "H0-A"
    load_rated_kw: NDArray[np.float64]  # [n]
    load_kw: NDArray[np.float32]  # [T, n]
    load_kvar: NDArray[np.float32]  # [T, n]
    sgen_bus: NDArray[np.int64]  # [m]
    sgen_kw: NDArray[np.float32]  # [T, m] production, >= 0
    storage_bus: NDArray[np.int64]  # [k]
    storage_profile: NDArray[np.str_]  # [k] name, such as "Storage_PV5_H0-A"
    storage_kw: NDArray[np.float32]  # [T, k] production, >= 0: what a solar plant with this storage feeds in
    storage_sun_kw: NDArray[np.float32]  # [T, k] the same yearly energy as that plant feeds it in without a storage
    storage_rated_kw: NDArray[np.float64]  # [k]
    storage_kwh: NDArray[np.float64]  # [k] capacity


def load(code: str) -> SimbenchNet:
    """The grid of a SimBench code such as "1-LV-rural1--0-sw", from the cache where it is there."""
    if code not in simbench.collect_all_simbench_codes():
        raise ConfigError("SimBench", "grid.code", code, 'a code that SimBench knows, such as "1-LV-rural1--0-sw"')
    path = cache_path(code)
    if not path.exists():
        _write(_build(code), path)
    found = _read(path)  # what was just built, too, so that the first load equals every later one
    return replace(found, net=copy.deepcopy(found.net))  # the net may be changed, the kept one never is


def rerated(net: Any, transformer_kva: float | None) -> Any:
    """Return a copy of `net` whose transformers to low voltage are rated `transformer_kva`; None leaves them as is.

    Short-circuit voltage, iron losses and no-load current stay the same shares of the rating, as in the series of one
    maker, so that a smaller transformer has a higher impedance.
    """
    if transformer_kva is None:
        return net
    changed, low = copy.deepcopy(net), net.trafo.vn_lv_kv < LOW_VOLTAGE_KV
    scale = mw_from_kw(transformer_kva) / changed.trafo.loc[low, "sn_mva"]
    changed.trafo.loc[low, "pfe_kw"] *= scale
    changed.trafo.loc[low, "sn_mva"] = mw_from_kw(transformer_kva)
    return changed


def cache_path(code: str) -> Path:
    """Where a grid is kept: below $TOTALFLEX_CACHE_DIR, else $XDG_CACHE_HOME/totalflex, else ~/.cache/totalflex."""
    own, shared = os.environ.get("TOTALFLEX_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME")
    root = Path(own) if own else (Path(shared) if shared else Path.home() / ".cache") / "totalflex"
    versions = f"simbench-{version('simbench')}_pandapower-{version('pandapower')}_loader-{_LOADER_VERSION}"
    return root / "simbench" / versions / f"{code}.npz"


def _build(code: str) -> SimbenchNet:
    net = simbench.get_simbench_net(code)
    for table in ("load", "sgen", "storage"):
        if net[table].profile.isna().any() or simbench.profiles_are_missing(net):
            raise DataError(code, f"{table}.profile", "missing", f"a profile for every {table} of the grid")
    # SimBench leaves the type of tap changer open, and pandapower >= 3 then ignores the tap position.
    net.trafo["tap_changer_type"] = "Ratio"
    year = simbench.get_absolute_values(net, profiles_instead_of_study_cases=True)
    bus = {table: net[table].bus.to_numpy(dtype=np.int64) for table in ("load", "sgen", "storage")}
    # Storages produce where the power of a pandapower storage, which counts charging as positive, is negative.
    stored = -_kilo(year["storage", "p_mw"][net.storage.index])
    sun = _sunny(stored, net.storage.profile, net.profiles["renewables"])
    del net["profiles"]
    return SimbenchNet(
        net=net,
        load_bus=bus["load"],
        load_kv=net.bus.vn_kv.loc[bus["load"]].to_numpy(dtype=np.float64),
        load_profile=net.load.profile.to_numpy(dtype=np.str_),
        load_rated_kw=kw_from_mw(net.load.p_mw.to_numpy(dtype=np.float64)),
        load_kw=_kilo(year["load", "p_mw"][net.load.index]),
        load_kvar=_kilo(year["load", "q_mvar"][net.load.index]),
        sgen_bus=bus["sgen"],
        sgen_kw=_kilo(year["sgen", "p_mw"][net.sgen.index]),
        storage_bus=bus["storage"],
        storage_profile=net.storage.profile.to_numpy(dtype=np.str_),
        storage_kw=stored,
        storage_sun_kw=sun,
        storage_rated_kw=kw_from_mw(net.storage.sn_mva.to_numpy(dtype=np.float64)),
        storage_kwh=kw_from_mw(net.storage.max_e_mwh.to_numpy(dtype=np.float64)),
    )


def _sunny(stored: NDArray[np.float32], names: Any, renewables: Any) -> NDArray[np.float32]:
    """The profiles [T, k] of the solar plants behind storages such as "Storage_PV5_H0-A", at the energy they feed in.

    Storages that stand for those of a whole grid ("lv_rural1") name no solar plant and stay as they are.
    """
    result = stored.copy()
    for storage, name in enumerate(names):
        if name.startswith("Storage_"):
            sun = renewables[name.split("_")[1]].to_numpy(dtype=np.float64)
            result[:, storage] = sun * (float(stored[:, storage].sum(dtype=np.float64)) / sun.sum())
    return result


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


@lru_cache(maxsize=8)
def _read(path: Path) -> SimbenchNet:
    """The file's grid, kept by the process: pandapower takes more than a second to parse a net."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            fields = {name: arrays[name] for name in arrays.files}
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(str(path), "file", "unreadable", "a grid from the cache; delete the file") from error
    net = pp.from_json_string(str(fields.pop("net")))
    for array in fields.values():
        array.flags.writeable = False
    return SimbenchNet(net=net, **fields)
