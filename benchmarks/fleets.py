"""Fleets of random flex-offers for the benchmarks, in the numbers that the makers take."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.flexoffer import makers
from totalflex_env.flexoffer.kinds import Members
from totalflex_env.trade_types import FlexOfferBatch, OfferState

SLOTS = 96


@dataclass(frozen=True)
class Storing:
    """Vehicles or batteries: what they may take in a slot and what they may have taken after it."""

    window: tuple[Tensor, Tensor]  # [n] int64, first slot and first slot after the last
    power: tuple[Tensor, Tensor]  # [n] kWh per slot, discharge and charge
    level: tuple[Tensor, Tensor]  # [n] kWh taken since arrival, least and most in the window
    final: tuple[Tensor, Tensor]  # [n] kWh, at its end


@dataclass(frozen=True)
class Shiftable:
    """Programmes that may start in a window."""

    start: tuple[Tensor, Tensor]  # [n] int64, first and last start
    profile: Tensor  # [n, S] kWh per slot


def profiles(count: int, seed: int, longest: int = 8) -> FlexOfferBatch:
    """Return offers of 1 to `longest` slices that may wait 0 to 16 slots, as the public aggregator was measured on."""
    draw = torch.Generator().manual_seed(seed)
    slices = torch.randint(1, longest + 1, (count,), generator=draw)
    inside = torch.arange(longest) < slices[:, None]
    lower = torch.where(inside, _uniform(draw, (0.0, 1.0), count, longest), 0.0)
    upper = torch.where(inside, lower + _uniform(draw, (0.0, 1.0), count, longest), 0.0)
    earliest = torch.randint(0, SLOTS, (count,), generator=draw)
    unbounded, zero = torch.full_like(lower, torch.inf), torch.zeros_like(earliest)
    return FlexOfferBatch(
        device=torch.arange(count),
        house=zero,
        earliest=earliest,
        latest=earliest + torch.randint(0, 17, (count,), generator=draw),
        slices=slices,
        lower=lower,
        upper=upper,
        total_lower=lower.sum(1),
        total_upper=upper.sum(1),
        level_lower=-unbounded,
        level_upper=unbounded,
        default_start=earliest,
        default=lower,
        price_shift=torch.zeros_like(lower[:, 0]),
        acceptance=earliest,
        assignment=earliest,
        state=zero + OfferState.OFFERED,
    )


def vehicles(count: int, seed: int) -> Storing:
    """Return vehicles that come and go in any slot, charge with 3.7 to 22 kW, and need 20 to 90 % of what fits."""
    draw = torch.Generator().manual_seed(seed)
    window = _window(draw, count)
    power = torch.tensor([3.7, 7.4, 11.0, 22.0], dtype=torch.float64)[torch.randint(0, 4, (count,), generator=draw)] / 4
    least = _uniform(draw, (0.2, 0.7), count) * power * (window[1] - window[0])
    most = least + _uniform(draw, (0.0, 0.2), count) * power * (window[1] - window[0])
    return Storing(window, (torch.zeros_like(power), power), (torch.zeros_like(most), most), (least, most))


def storages(count: int, seed: int) -> Storing:
    """Return batteries and vehicles that give back, 3 to 11 kW both ways, 5 to 60 kWh, which end no emptier."""
    draw = torch.Generator().manual_seed(seed)
    window = _window(draw, count)
    power = _uniform(draw, (0.75, 2.75), count)
    capacity, share = _uniform(draw, (5.0, 60.0), count), _uniform(draw, (0.2, 0.8), count)
    room = (1.0 - share) * capacity
    return Storing(window, (power, power), (-share * capacity, room), (torch.zeros_like(room), room))


def programmes(count: int, seed: int) -> Shiftable:
    """Return programmes of three machines that may wait up to 8 hours."""
    draw = torch.Generator().manual_seed(seed)
    shapes = torch.tensor(
        [[0.5, 0.1, 0.1, 0.5, 0.1, 0.0, 0.0, 0.0], [0.5, 0.5, 0.1, 0.1, 0.1, 0.1, 0.0, 0.0], [0.6] * 8],
        dtype=torch.float64,
    )
    first = torch.randint(0, SLOTS - 8 - 32, (count,), generator=draw)
    last = first + torch.randint(0, 33, (count,), generator=draw)
    return Shiftable((first, last), shapes[torch.randint(0, 3, (count,), generator=draw)])


def vehicle_members(fleet: Storing, first: int = 0) -> Members:
    """Return vehicles as members of an aggregate, numbered from `first`."""
    who = makers.numbered(len(fleet.window[0]), first)
    return makers.vehicles(who, SLOTS, fleet.window, fleet.power[1], fleet.final)


def storage_members(fleet: Storing, first: int = 0) -> Members:
    """Return storages as members of an aggregate, numbered from `first`."""
    who = makers.numbered(len(fleet.window[0]), first)
    return makers.storages(who, SLOTS, fleet.window, fleet.power, (fleet.level, fleet.final))


def programme_members(fleet: Shiftable, first: int = 0) -> Members:
    """Return programmes as members of an aggregate, numbered from `first`."""
    return makers.programmes(makers.numbered(len(fleet.profile), first), SLOTS, fleet.start, fleet.profile)


def _window(draw: torch.Generator, count: int) -> tuple[Tensor, Tensor]:
    arrival = torch.randint(0, SLOTS - 8, (count,), generator=draw)
    return arrival, arrival + 8 + (_uniform(draw, (0.0, 1.0), count) * (SLOTS - 7 - arrival - 8).clamp(min=1)).long()


def _uniform(draw: torch.Generator, between: tuple[float, float], *shape: int) -> Tensor:
    low, high = between
    return low + (high - low) * torch.rand(*shape, dtype=torch.float64, generator=draw)
