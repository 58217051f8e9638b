"""The kinds of flex-offers, each stored with as few numbers as it allows, on one grid of T slots.

The set is closed: what exact aggregation promises is proved kind by kind (docs/flex_offers.md has the table). Letters
in the shapes: n offers of one kind, T slots of the grid, S slices of a shape, Z shapes or gain profiles. Slot t of a
field [n, T] is slot t of the grid, not of the offer. Energies that are added and taken away again are int64 in uWh
(1e-9 kWh), so that sums never drift; a sum of up to 9 TWh fits.

`offer` are the identities of the offers, unique over all kinds; `node` is the grid node of each, -1 where unknown.
`inner` marks offers that hold less than their device can do (losses, minimum power, levels), never more.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from torch import Tensor

from totalflex_env.trade_types import FlexOfferBatch

UWH_PER_KWH = 1_000_000_000


class Exactness(IntEnum):
    """What an aggregate promises about the sum of its members; more than the sum is never promised."""

    INNER = 0  # sound: whatever it allows, its members can do
    EXACT = 1  # sound and complete: it allows whatever its members can do


@dataclass(frozen=True)
class Boxes:
    """Any energy between two bounds in every slot (box), whatever the other slots do."""

    offer: Tensor  # [n] int64
    node: Tensor  # [n] int64
    inner: Tensor  # [n] bool
    lower: Tensor  # [n, T] int64 uWh
    upper: Tensor  # [n, T] int64 uWh


@dataclass(frozen=True)
class Vehicles:
    """Total energy: 0 to `power` in every slot of a window, between `least` and `most` over the window.

    With a `quantum` > 0 only its multiples may be taken in a slot; then power, least and most are multiples too.
    """

    offer: Tensor  # [n] int64
    node: Tensor  # [n] int64
    inner: Tensor  # [n] bool
    arrival: Tensor  # [n] int64, first slot of the window
    departure: Tensor  # [n] int64, first slot after it
    power: Tensor  # [n] int64 uWh per slot
    least: Tensor  # [n] int64 uWh
    most: Tensor  # [n] int64 uWh
    quantum: Tensor  # [n] int64 uWh, 0 for continuous power


@dataclass(frozen=True)
class Storages:
    """Lossless storage (battery, V2G): any power of both signs in a window, cumulative energy between constant bounds.

    Levels are cumulative energies since arrival (0 there); after the last slot of the window the final bounds hold too.
    """

    offer: Tensor  # [n] int64
    node: Tensor  # [n] int64
    inner: Tensor  # [n] bool
    arrival: Tensor  # [n] int64, first slot of the window
    departure: Tensor  # [n] int64, first slot after it
    discharge: Tensor  # [n] kWh per slot >= 0
    charge: Tensor  # [n] kWh per slot >= 0
    level_lower: Tensor  # [n] kWh
    level_upper: Tensor  # [n] kWh
    final_lower: Tensor  # [n] kWh
    final_upper: Tensor  # [n] kWh


@dataclass(frozen=True)
class Chains:
    """Storage with any bounds, and leaky storage (heat): level[t] = retention * level[t-1] + gain[t] * energy[t].

    Level is 0 before slot 0. Lossless with retention 1 and gain 1. Outside its window an offer has bounds of 0 on
    energy and none on level.
    """

    offer: Tensor  # [n] int64
    node: Tensor  # [n] int64
    inner: Tensor  # [n] bool
    lower: Tensor  # [n, T] kWh per slot
    upper: Tensor  # [n, T] kWh per slot
    level_lower: Tensor  # [n, T] kWh after each slot, -inf where there is none
    level_upper: Tensor  # [n, T] kWh after each slot, inf where there is none
    retention: Tensor  # [n] share of the level that a slot leaves, in (0, 1]
    profile: Tensor  # [n] int64, row of `gains`
    gains: Tensor  # [Z, T] kWh stored per kWh taken (coefficient of performance), > 0


@dataclass(frozen=True)
class Programmes:
    """Shiftable: a fixed profile, started in any slot from `earliest` to `latest`."""

    offer: Tensor  # [n] int64
    node: Tensor  # [n] int64
    inner: Tensor  # [n] bool
    earliest: Tensor  # [n] int64
    latest: Tensor  # [n] int64
    shape: Tensor  # [n] int64, row of `shapes`
    shapes: Tensor  # [Z, S] int64 uWh per slice, zero behind the last; rows are distinct


@dataclass(frozen=True)
class Movables:
    """Shiftable with energy range or total: the rows of the public batch themselves, slices counted from the start."""

    offer: Tensor  # [n] int64
    node: Tensor  # [n] int64
    inner: Tensor  # [n] bool
    offers: FlexOfferBatch  # [n], tightened


@dataclass(frozen=True)
class Members:
    """Offers of all kinds on one grid, each kind in its own order; offers of a kind may number zero."""

    slots: int  # T, length of the grid
    boxes: Boxes
    vehicles: Vehicles
    storages: Storages
    chains: Chains
    programmes: Programmes
    movables: Movables


@dataclass(frozen=True)
class Assignments:
    """One assignment of each member, kind by kind in the order of `Members`."""

    boxes: Tensor  # [n, T] kWh
    vehicles: Tensor  # [n, T] kWh
    storages: Tensor  # [n, T] kWh
    chains: Tensor  # [n, T] kWh
    programmes: Tensor  # [n] int64, start slot
    movable_start: Tensor  # [n] int64, start slot
    movables: Tensor  # [n, W] kWh per slice


def to_uwh(kwh: Tensor) -> Tensor:
    """Return energies in kWh (float) as int64 uWh, to the nearest."""
    return (kwh.double() * UWH_PER_KWH).round().long()


def to_kwh(uwh: Tensor) -> Tensor:
    """Return energies in int64 uWh as float64 kWh."""
    return uwh.double() / UWH_PER_KWH
