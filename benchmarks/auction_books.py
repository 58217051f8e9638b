"""Books for the benchmarks of the auction: offers of four kinds on a feeder of 40 nodes, with two BRPs.

Offers are must-run and deviate from what they would do by default. Transformer and feeder heads are rated for 90 % of
what they carry then at the most, the lines behind them for 110 %, and the deepest voltage is 1.5 % below its limit's
distance, so the grid binds in the evening and wherever cheap energy attracts everybody.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from benchmarks import fleets
from benchmarks.fleets import SLOTS
from totalflex_env.flexoffer.offers import concatenate, tighten
from totalflex_env.market.book import (
    AuctionBook,
    FlexOrders,
    GridLimits,
    StepCurves,
    element_limits,
    join_limits,
    midnight,
    must_run,
)
from totalflex_env.trade_types import FlexOfferBatch

NODES = 40
BRANCHES = 4  # lines that leave the transformer; their nodes lie one behind the other
LONGEST = 8  # slices of a classical offer
CAP = 2.0  # EUR/kWh of overload
STEPS = 8  # of a BRP's curve


def feeder() -> Tensor:
    """Return which nodes [L, 40] lie behind each element: a line to every node, and the transformer at the end."""
    node = torch.arange(NODES)
    branch, place = node % BRANCHES, node // BRANCHES
    lines = [(branch == branch[line]) & (place >= place[line]) for line in range(NODES)]
    return torch.stack([*lines, torch.ones(NODES, dtype=torch.bool)]).double()


def book(count: int, seed: int) -> AuctionBook:
    """Return a day of `count` offers: half classical profiles, a quarter vehicles, the rest programmes and heating."""
    draw = torch.Generator().manual_seed(seed)
    parts = [_profiles(count // 2, seed), _vehicles(count // 4, seed), _programmes(count // 8, seed)]
    parts.append(_heating(count - sum(len(part.state) for part in parts), draw))
    offers = tighten(concatenate(parts))
    node = torch.randint(0, NODES, (count,), generator=draw)
    orders = must_run(offers, node, SLOTS, _uniform(draw, (0.0, 0.03), count), _uniform(draw, (0.0, 0.03), count))
    taken = torch.zeros(NODES, SLOTS, dtype=torch.float64).index_add(0, node, orders.position)
    hours = torch.arange(SLOTS) / 4.0
    load = count / NODES * 0.1 * (1.0 + 0.5 * ((hours - 12.0) / 24.0 * 2.0 * torch.pi).sin())
    limits = _limits(taken + load * _uniform(draw, (0.7, 1.3), NODES, 1))
    return AuctionBook(midnight(2024, 1, 22), 0.25, 0.0, 4.0, orders, _curves(orders, draw), limits)


def _limits(base: Tensor) -> GridLimits:
    """Return limits of elements and voltages for nodes that take `base` [M, T] kWh at the positions."""
    behind = feeder()
    carried = behind @ base
    rating = 1.1 * carried.amax(1)
    rating[:BRANCHES] = 0.9 * carried[:BRANCHES].amax(1)
    rating[-1] = 0.9 * carried[-1].max()
    names = (*(f"line {line}" for line in range(NODES)), "transformer")
    elements = element_limits(names, behind, carried, rating[:, None].expand(-1, SLOTS).contiguous(), CAP)
    drop = behind[:-1].T @ behind[:-1]  # lines in common of two nodes, all of the same impedance
    sensitivity = -0.05 * drop / (drop @ base).max()
    voltage = 1.0 + sensitivity @ base
    endless, one = torch.full_like(voltage, torch.inf), torch.ones_like(voltage)
    priced = one * CAP / float(sensitivity.abs().max())
    nodes = tuple(f"node {node}" for node in range(NODES))
    every = torch.ones(NODES, dtype=torch.bool)
    voltages = GridLimits(nodes, every, sensitivity, voltage, 0.95 * one, 1.05 * one, endless, endless, priced)
    return join_limits(elements, voltages)


def _curves(orders: FlexOrders, draw: torch.Generator) -> StepCurves:
    """Return two BRPs around a spot price with two peaks: each may supply or be relieved of a share of all energy."""
    hours = torch.arange(SLOTS) / 4.0
    spot = 0.1 + 0.05 * (hours / 24.0 * 4.0 * torch.pi).sin() + _uniform(draw, (-0.01, 0.01), SLOTS)
    mean = float(orders.position.sum()) / SLOTS
    quantity = mean * _uniform(draw, (0.05, 0.15), 2, SLOTS, STEPS)
    start = -quantity[..., : STEPS // 2].sum(2) * _uniform(draw, (0.9, 1.1), 2, SLOTS)
    spread = torch.linspace(-0.08, 0.08, STEPS, dtype=torch.float64)
    price = spot[:, None] + spread + _uniform(draw, (-0.004, 0.004), 2, SLOTS, STEPS)
    return StepCurves(torch.arange(2), start, quantity, price.sort(dim=2).values)


def _profiles(count: int, seed: int) -> FlexOfferBatch:
    some = fleets.profiles(count, seed, LONGEST)
    earliest = some.earliest.clamp(max=SLOTS - LONGEST - 17)
    waits = some.latest - some.earliest
    middle = 0.5 * (some.lower + some.upper)
    return replace(
        some,
        earliest=earliest,
        latest=earliest + waits,
        total_upper=some.upper.sum(1),
        default_start=earliest,
        default=middle,
        acceptance=earliest,
        assignment=earliest,
    )


def _vehicles(count: int, seed: int) -> FlexOfferBatch:
    fleet = fleets.vehicles(count, seed)
    arrival, power, need = fleet.window[0], fleet.power[1], fleet.final[0]
    length = fleet.window[1] - arrival
    slice_ = torch.arange(SLOTS)
    upper = torch.where(slice_ < length[:, None], power[:, None], 0.0)
    default = (need[:, None] - power[:, None] * slice_).clamp(min=0.0).minimum(upper)
    return _offers((arrival, arrival), length, (torch.zeros_like(upper), upper), default)


def _programmes(count: int, seed: int) -> FlexOfferBatch:
    fleet = fleets.programmes(count, seed)
    return _offers(fleet.start, torch.full((count,), LONGEST), (fleet.profile, fleet.profile), fleet.profile)


def _heating(count: int, draw: torch.Generator) -> FlexOfferBatch:
    default = _uniform(draw, (0.1, 0.8), count, SLOTS)
    zero = torch.zeros(count, dtype=torch.int64)
    return _offers((zero, zero), zero + SLOTS, (0.7 * default, 1.3 * default), default)


def _offers(
    start: tuple[Tensor, Tensor], slices: Tensor, bounds: tuple[Tensor, Tensor], default: Tensor
) -> FlexOfferBatch:
    """Return offers that need as much energy as by default, which starts first."""
    count, endless = len(slices), torch.full_like(default, torch.inf)
    earliest, latest = start
    return FlexOfferBatch(
        device=torch.arange(count),
        house=torch.zeros_like(slices),
        earliest=earliest,
        latest=latest,
        slices=slices,
        lower=bounds[0],
        upper=bounds[1],
        total_lower=default.sum(1),
        total_upper=default.sum(1),
        level_lower=-endless,
        level_upper=endless,
        default_start=earliest,
        default=default,
        price_shift=torch.full((count,), 0.002, dtype=torch.float64),
        acceptance=earliest,
        assignment=earliest,
        state=torch.ones_like(slices),
    )


def _uniform(draw: torch.Generator, between: tuple[float, float], *shape: int) -> Tensor:
    low, high = between
    return low + (high - low) * torch.rand(*shape, dtype=torch.float64, generator=draw)
