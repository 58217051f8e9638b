"""Window tables: any number of total-energy offers as about T^3 / 6 integers, without loss.

The energy that an offer (window of W slots, power m, total between c and C) can take in k of its slots is at most
min(m k, C) and at least max(0, c - m (W - k)), whichever slots they are. Such bounds form a generalized polymatroid,
and Minkowski sums of those are sums of the bounds (Frank and Tardos 1988; Mukhi, Loho and Abate 2025 for flexible
loads). So offers with the same window add up to two curves over k = 0..W. Each is piecewise linear with one bend: kept
are second differences, three integers per offer and curve, of which inserting and deleting are exact inverses.

The windows [a, d) of a grid of T slots lie one after the other in a table, each with W + 2 entries k = 0..W + 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from totalflex_env.flexoffer.kinds import Vehicles, to_kwh


@dataclass(frozen=True)
class WindowTables:
    """The sums of the curves of all offers, window by window."""

    slots: int  # T
    most: Tensor  # [M] int64 uWh, second differences over k of the most energy in k slots of a window
    least: Tensor  # [M] int64 uWh, second differences over k of the least energy in k slots of a window


@dataclass(frozen=True)
class _Layout:
    """Where the windows of a grid lie in a table, and all pairs of a window and a slot in it."""

    arrival: Tensor  # [G] int64, G = T (T + 1) / 2
    departure: Tensor  # [G] int64
    base: Tensor  # [G] int64, entry k = 0
    size: int  # M
    slot: Tensor  # [Q] int64, slot of each pair of a window and a slot in it, Q = M - 2 G
    since: Tensor  # [Q] int64, cell of [T, T + 1] in the row of the slot and the column of the arrival
    until: Tensor  # [Q] int64, cell in the row of the slot and the column of the departure
    filling: Tensor  # [Q] int64, entry k = 1 of the window
    leaving: Tensor  # [Q] int64, entry k = W of the window in a second table behind the first


def no_windows(slots: int) -> WindowTables:
    """Return the tables of no offers."""
    zero = torch.zeros(_layout(slots).size, dtype=torch.int64)
    return WindowTables(slots, zero, zero)


def add_vehicles(tables: WindowTables, vehicles: Vehicles, sign: int = 1) -> WindowTables:
    """Return the tables with offers inserted (sign 1) or deleted (sign -1): six additions each, bit-exact."""
    width = vehicles.departure - vehicles.arrival
    base = _base(tables.slots, vehicles.arrival, width)
    power = sign * vehicles.power
    full_most, rest_most = _parts(vehicles.most, vehicles.power)
    full_least, rest_least = _parts(vehicles.least, vehicles.power)
    last = base + width + 1
    most = [
        (base + 1, power),
        (base + full_most + 1, sign * rest_most - power),
        (torch.minimum(base + full_most + 2, last), -sign * rest_most),
    ]
    least = [
        (last - 1 - full_least, sign * rest_least),
        (last - full_least, power - sign * rest_least),
        (last, -power),
    ]
    return WindowTables(tables.slots, _scatter(tables.most, most), _scatter(tables.least, least))


def merge_windows(parts: list[WindowTables]) -> WindowTables:
    """Return the tables of the members of all parts."""
    most, least = (torch.stack(tables).sum(0) for tables in ([p.most for p in parts], [p.least for p in parts]))
    return WindowTables(parts[0].slots, most, least)


def window_bounds(tables: WindowTables, sets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least and the most energy [A] int64 uWh that the offers can take in sets of slots [A, T] bool."""
    layout = _layout(tables.slots)
    counted = torch.nn.functional.pad(sets.long().cumsum(1), (1, 0))
    entry = layout.base + counted[:, layout.departure] - counted[:, layout.arrival]
    return tuple(_curve(layout, bends)[entry].sum(1) for bends in (tables.least, tables.most))  # type: ignore[return-value]


def window_response(tables: WindowTables, direction: Tensor) -> Tensor:
    """Return the profile [R, T] kWh of the most worth at directions [R, T] EUR/kWh: the greedy vertex, in integers.

    Slots are filled in falling order of their direction while that is positive; from the other end as little as
    possible is left in the slots still open (Edmonds' greedy algorithm on the extended polymatroid).
    """
    layout = _layout(tables.slots)
    steps = torch.cat([tables.most.cumsum(0), tables.least.cumsum(0)])
    profiles = direction.new_empty(direction.shape, dtype=torch.int64)
    for row, directions in enumerate(direction):
        rank = directions.argsort(descending=True, stable=True).argsort()
        earlier = torch.nn.functional.pad((rank < rank[:, None]).cumsum(1), (1, 0)).flatten()
        before = earlier.index_select(0, layout.until) - earlier.index_select(0, layout.since)
        filling = (directions > 0.0).index_select(0, layout.slot)
        entry = torch.where(filling, layout.filling + before, layout.leaving - before)
        profiles[row] = profiles[row].zero_().index_add(0, layout.slot, steps.index_select(0, entry))
    return to_kwh(profiles)


def vehicle_response(vehicles: Vehicles, direction: Tensor) -> Tensor:
    """Return the energies [n, T] int64 uWh of the most worth of each offer at a direction [T] EUR/kWh.

    Slots are filled in the same order as by `window_response`, so that the energies add up to its profile.
    """
    slot = torch.arange(len(direction))
    rank = direction.argsort(descending=True, stable=True).argsort()
    earlier = torch.nn.functional.pad((rank < rank[:, None]).cumsum(1), (1, 0)).T
    before = earlier[vehicles.departure] - earlier[vehicles.arrival]
    power = vehicles.power[:, None]
    filled = torch.minimum(power, (vehicles.most[:, None] - power * before).clamp(min=0))
    left = torch.minimum(power, (vehicles.least[:, None] - power * before).clamp(min=0))
    inside = (slot >= vehicles.arrival[:, None]) & (slot < vehicles.departure[:, None])
    return torch.where(inside, torch.where(direction > 0.0, filled, left), 0)


def _curve(layout: _Layout, bends: Tensor) -> Tensor:
    """Return the energies [M] int64 uWh over k = 0..W of every window, given their second differences [M]."""
    energy = bends.cumsum(0).cumsum(0)
    width = layout.departure - layout.arrival
    return energy - energy[layout.base].repeat_interleave(width + 2)


def _parts(total: Tensor, power: Tensor) -> tuple[Tensor, Tensor]:
    """Return the slots [n] int64 that a total fills at full power, and the rest [n] int64 uWh."""
    full = torch.where(power > 0, total // power.clamp(min=1), 0)
    return full, total - full * power


def _scatter(table: Tensor, additions: list[tuple[Tensor, Tensor]]) -> Tensor:
    table = table.clone()
    for entry, energy in additions:
        table.index_add_(0, entry, energy)
    return table


def _base(slots: int, arrival: Tensor, width: Tensor) -> Tensor:
    """Return the entry k = 0 of windows, which are sorted by arrival and then by width."""
    starting = slots - arrival  # windows that start in the arrival slot: widths 1 to `starting`
    before = _pyramid(torch.full_like(arrival, slots)) - _pyramid(starting)
    return before + _row(width - 1)


def _row(widest: Tensor) -> Tensor:
    """Return the sum of w + 2 over w = 1..widest."""
    return widest * (widest + 1) // 2 + 2 * widest


def _pyramid(widest: Tensor) -> Tensor:
    """Return the sum of `_row(w)` over w = 1..widest."""
    return widest * (widest + 1) * (widest + 2) // 6 + widest * (widest + 1)


@lru_cache(maxsize=4)
def _layout(slots: int) -> _Layout:
    arrival, departure = torch.triu_indices(slots, slots).unbind(0)
    departure = departure + 1
    width = departure - arrival
    window = torch.arange(len(width)).repeat_interleave(width)
    slot = torch.arange(len(window)) - (width.cumsum(0) - width)[window] + arrival[window]
    base, size = _base(slots, arrival, width), int(_pyramid(torch.tensor(slots)))
    since, until = (slot * (slots + 1) + edge[window] for edge in (arrival, departure))
    leaving = (base + width)[window] + size
    return _Layout(arrival, departure, base, size, slot, since, until, base[window] + 1, leaving)
