"""Who lives on a SimBench grid: its loads, generators and storages recognised by their profiles and put into houses.

SimBench gives every consumer a load of its own. Loads named after a standard profile are houses: homes (H0), businesses
(G0 to G6, BL, WB), farms (L0 to L2), and on higher voltages whole grids (lv_*, mv_*, hv_*, HS*). Heat pumps (Air_*,
Soil_*), chargers at home (HLS_*) and public ones (APLS_*) belong to a house at their bus. Scenario 0 is today without
them; scenarios 1 and 2 are futures with more and more of them. Storages carry the profile of what a solar plant with a
battery feeds in, never below zero, so that playing them means production.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from totalflex_env.dice import Array
from totalflex_env.errors import DataError
from totalflex_env.scenario.simbench import LOW_VOLTAGE_KV, SimbenchNet

Kind = Literal["home", "business", "farm", "grid", "heat pump", "home charger", "public charger"]

PREFIXES: tuple[tuple[str, Kind], ...] = (
    ("H0", "home"),
    ("G", "business"),
    ("BL", "business"),
    ("WB", "business"),
    ("L", "farm"),
    ("lv_", "grid"),
    ("mv_", "grid"),
    ("hv_", "grid"),
    ("HS", "grid"),
    ("Air_", "heat pump"),
    ("Soil_", "heat pump"),
    ("HLS_", "home charger"),
    ("APLS_", "public charger"),
)
"""What a load is, by the beginning of its profile's name."""

DEVICES: tuple[Kind, ...] = ("heat pump", "home charger", "public charger")
"""Loads that are devices of a house."""


@dataclass(frozen=True)
class GridDevice:
    """A heat pump, charger or battery that SimBench puts at a house, with the profile it plays for it."""

    kind: Kind | Literal["battery"]
    house: int
    rated_kw: float
    capacity_kwh: float  # of a battery, else 0
    kw: Array  # [T] its profile, consumption positive; of a battery what it changes in the feed-in of its plant


@dataclass(frozen=True)
class Houses:
    """The P houses of a grid, those on low voltage first, and their devices."""

    bus: tuple[int, ...]  # [P]
    kind: tuple[Kind, ...]  # [P]
    base_kw: Array  # [T, P] consumption without the devices
    base_kvar: Array  # [T, P]
    pv_kw: Array  # [T, P] production without batteries
    sun_kw: Array  # [T] of it, what the solar plants on low voltage produce
    devices: tuple[GridDevice, ...]


def kind_of(profile: str) -> Kind:
    """Return what the load with the profile of this name is; an unknown name is a DataError."""
    for prefix, kind in PREFIXES:
        if profile.startswith(prefix):
            return kind
    raise DataError("SimBench", "load.profile", profile, f"a name that begins with {', '.join(p for p, _ in PREFIXES)}")


def houses_of(loaded: SimbenchNet) -> Houses:
    """Return the houses of a grid; a generator alone at its bus becomes a house without consumption."""
    kinds = [kind_of(profile) for profile in loaded.load_profile]
    homes = [load for load, kind in enumerate(kinds) if kind not in DEVICES]
    homes.sort(key=lambda load: loaded.load_kv[load])  # stable: SimBench's order within a voltage level
    bus = [int(loaded.load_bus[load]) for load in homes]
    lonely = sorted({*loaded.sgen_bus.tolist(), *loaded.storage_bus.tolist()} - set(bus))
    places = np.array(bus + lonely, dtype=np.int64)
    empty = np.zeros((len(loaded.load_kw), len(lonely)))
    base = np.concatenate([loaded.load_kw[:, homes].astype(np.float64), empty], axis=1)
    pv = np.zeros_like(base)
    for plant, at in enumerate(loaded.sgen_bus):
        # A few plants (hydro, biomass) consume a little while they stand still.
        house, kw = _first_at(places, at), loaded.sgen_kw[:, plant].astype(np.float64)
        pv[:, house] += kw.clip(min=0.0)
        base[:, house] += (-kw).clip(min=0.0)
    for storage, at in enumerate(loaded.storage_bus):
        pv[:, _first_at(places, at)] += loaded.storage_sun_kw[:, storage]
    return Houses(
        bus=tuple(places.tolist()),
        kind=tuple([kinds[load] for load in homes] + ["business"] * len(lonely)),
        base_kw=base,
        base_kvar=np.concatenate([loaded.load_kvar[:, homes].astype(np.float64), empty], axis=1),
        pv_kw=pv,
        sun_kw=pv[:, [at for at, load in enumerate(homes) if loaded.load_kv[load] < LOW_VOLTAGE_KV]].sum(axis=1),
        devices=(*_loads(loaded, kinds, places), *_batteries(loaded, places)),
    )


def played(houses: Houses) -> Houses:
    """Return the same houses with their devices' profiles as inflexible consumption and production."""
    base, pv = houses.base_kw.copy(), houses.pv_kw.copy()
    for device in houses.devices:
        if device.kind == "battery":
            pv[:, device.house] -= device.kw
        else:
            base[:, device.house] += device.kw
    return replace(houses, base_kw=base, pv_kw=pv, devices=())


def _loads(loaded: SimbenchNet, kinds: list[Kind], places: NDArray[np.int64]) -> Iterator[GridDevice]:
    """Heat pumps and chargers; those of one kind at one bus go to its houses in turn."""
    turn: Counter[tuple[Kind, int]] = Counter()
    for load, kind in enumerate(kinds):
        if kind in DEVICES:
            at = int(loaded.load_bus[load])
            there = np.flatnonzero(places == at)
            if not len(there):
                raise DataError("SimBench", "load.bus", at, f"a house at the bus of the {kind}")
            house = int(there[turn[kind, at] % len(there)])
            turn[kind, at] += 1
            kw = loaded.load_kw[:, load].astype(np.float64)
            yield GridDevice(kind, house, float(loaded.load_rated_kw[load]), 0.0, kw)


def _batteries(loaded: SimbenchNet, places: NDArray[np.int64]) -> Iterator[GridDevice]:
    """Batteries of solar plants; those that stand for a whole grid stay in its production."""
    for storage, name in enumerate(loaded.storage_profile):
        if name.startswith("Storage_"):
            kw = loaded.storage_sun_kw[:, storage].astype(np.float64) - loaded.storage_kw[:, storage]
            yield GridDevice(
                kind="battery",
                house=_first_at(places, loaded.storage_bus[storage]),
                rated_kw=float(loaded.storage_rated_kw[storage]),
                capacity_kwh=float(loaded.storage_kwh[storage]),
                kw=kw,
            )


def _first_at(places: NDArray[np.int64], bus: int) -> int:
    """The first house at a bus."""
    return int(np.argmax(places == bus))
