"""What a policy did on the days it was tried on: plain arrays, small enough to pass between processes.

Letters in the shapes: D days, T slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

KINDS = (
    "base load",
    "heat pumps",
    "freezers",
    "dishwashers",
    "vehicles",
    "batteries",
    "photovoltaics",
    "other devices",
)
KIND_OF = {
    "heat-pump": "heat pumps",
    "freezer": "freezers",
    "dishwasher": "dishwashers",
    "heavy-house": "heat pumps",
    "ev": "vehicles",
    "ev-block": "vehicles",
    "charging-park": "vehicles",
    "battery": "batteries",
    "pv": "photovoltaics",
}
"""Where each kind of device is counted; those that are not here are other devices."""
CAUSES = ("spot", "imbalance", "overload", "voltage", "discomfort", "shortfall")
ROLES = ("prosumers", "aggregator", "balance responsible", "grid operator")


@dataclass(frozen=True)
class Program:
    """What a mixed-integer program says of its own plan, and what that plan comes to if its day comes as expected."""

    planned_cost_eur: Array  # [D] as the program estimates it
    bound_eur: Array  # [D] no schedule can cost less
    mip_gap: Array  # [D] relative, as the solver proved it
    causes_eur: Array  # [D, 6] by CAUSES, by the equations of the engine
    power_kw: Array  # [D, T, 8] consumption by KINDS
    net_kw: Array  # [D, T] consumption less PV less wind
    loading: Array  # [D, T] of the element loaded most, share of its rating


@dataclass(frozen=True)
class Results:
    """One policy on D days: the figures of each day, and the curves that the report draws."""

    seeds: tuple[int, ...]  # D
    cost_eur: Array  # [D] system cost
    overload_minutes: Array  # [D] any element above its rating
    voltage_minutes: Array  # [D] any node outside its voltage band
    comfort_degree_hours: Array  # [D] outside the comfort band, over all devices
    unmet_kwh: Array  # [D] missing at departure
    decision_seconds: Array  # [D] wall time per slot
    causes_eur: Array  # [D, 6] system cost by CAUSES
    money_eur: Array  # [D, 4] money that each of ROLES receives; sums to minus the system cost
    power_kw: Array  # [D, T, 8] consumption by KINDS
    loading: Array  # [D, T] of the element loaded most, share of its rating
    net_kw: Array  # [D, T] consumption less PV less wind
    nomination_kw: Array  # [D, T]
    spot: Array  # [D, T] EUR/kWh
    up: Array  # [D, T] EUR/kWh
    down: Array  # [D, T] EUR/kWh
    program: Program | None = None


def concatenate(parts: Sequence[Results]) -> Results:
    """Return the results of one policy on several groups of days as one, days in rising order of their seeds."""
    seeds = tuple(seed for part in parts for seed in part.seeds)
    order = np.argsort(seeds, kind="stable")
    merged = {
        field.name: _merge([vars(part)[field.name] for part in parts], order)
        for field in fields(Results)
        if field.name not in {"seeds", "program"}
    }
    programs = [part.program for part in parts if part.program is not None]
    program = None
    if programs:
        program = Program(*(_merge([vars(p)[field.name] for p in programs], order) for field in fields(Program)))
    return Results(tuple(seeds[day] for day in order), **merged, program=program)


def _merge(arrays: Sequence[Array], order: NDArray[np.intp]) -> Array:
    merged: Array = np.concatenate(arrays)[order]
    return merged
