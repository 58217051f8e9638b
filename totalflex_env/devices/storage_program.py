"""Storages as the coefficients of a linear program. n storages, K sessions, T slots."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.linear_types import LinearBlock, energy_map, flat, join, matrix, places


@dataclass(frozen=True)
class Rates:
    """How storages charge and discharge."""

    charge_kwh: Tensor  # [n] most energy per slot
    discharge_kwh: Tensor  # [n]
    charge_efficiency: Tensor  # [n]
    discharge_efficiency: Tensor  # [n]


@dataclass(frozen=True)
class Task:
    """What the rest of an episode allows and asks of storages."""

    slot: int  # first slot that is still open
    here: Tensor  # [K, n, T] bool, connected in an open slot
    begins: Tensor  # [K, n, T] bool, the slot in which a later session begins
    ends: Tensor  # [K, n, T] bool, the last slot of a session
    now: Tensor  # [n] kWh stored
    begin: Tensor  # [K, n] kWh stored at the start of a session, now if it has begun
    floor: Tensor  # [K, n, T] least stored energy after each slot, above zero in parks alone
    ceiling: Tensor  # [K, n] most stored energy
    target: Tensor  # [K, n] stored energy wanted in the end: the need, or what a battery held at the start
    price: Tensor  # [K, n] EUR per kWh of stored energy missing in the end
    wasteful: Tensor  # [T] bool, slots in which wasting energy could pay
    member: Tensor  # [G, n] bool, which storages that give nothing back share a connection
    connection_kwh: Tensor  # [G] energy per slot that it carries


def linear(task: Task, rates: Rates) -> LinearBlock:
    """Return the storages as a linear program; those that give nothing back are simpler than the others."""
    back = rates.discharge_kwh > 0.0
    return join(
        [_charging(task, rates, torch.nonzero(~back).flatten()), _cycling(task, rates, torch.nonzero(back)[:, 0])]
    )


def _charging(task: Task, rates: Rates, which: Tensor) -> LinearBlock:
    """Storages that give nothing back: outside parks, only the sum of their charging counts.

    Variables: charge [C, T], missing [K, C], and of the M vehicles in parks what is stored [M, T]. Where there is one
    session only, it is the only one in which anything can be charged.
    """
    sessions, slots = task.here.shape[0], task.here.shape[2]
    park, inside = torch.nonzero(task.member[:, which], as_tuple=True)
    parked = (len(park), slots)
    charge, missing, level = places((len(which), slots), (sessions, len(which)), parked)
    reach, fit, joint, balance = places(tuple(missing.shape), tuple(missing.shape), (len(task.member), slots), parked)
    carried = task.connection_kwh[:, None].expand(-1, slots)
    _, arrived, kept, _ = _levels(task, which[inside])
    floor = task.floor[:, which[inside]].sum(dim=0)
    gain = rates.charge_efficiency[which, None] * (task.here[:, which] if sessions > 1 else 1.0)
    begin, endless = task.begin[:, which], torch.full(missing.shape, torch.inf)
    connected = task.here[:, which].any(dim=0)
    return LinearBlock(
        cost=flat(torch.zeros(charge.shape), task.price[:, which], torch.zeros(parked)),
        lower=flat(torch.zeros(charge.numel() + missing.numel()), floor),
        upper=flat(rates.charge_kwh[which, None] * connected, endless, torch.full(parked, torch.inf)),
        integer=torch.zeros(charge.numel() + missing.numel() + level.numel(), dtype=torch.bool),
        rows=matrix(
            (reach[..., None], charge, gain),
            (reach, missing, 1.0),
            (fit[..., None], charge, gain),
            (joint[park], charge[inside], 1.0),
            (balance, level, 1.0),
            (balance[:, 1:], level[:, :-1], -kept[:, 1:]),
            (balance, charge[inside], -rates.charge_efficiency[which[inside], None]),
        ),
        row_lower=flat(task.target[:, which] - begin, -endless, torch.full(carried.shape, -torch.inf), arrived),
        row_upper=flat(endless, task.ceiling[:, which] - begin, carried, arrived),
        energy=energy_map((torch.arange(slots), which[:, None], charge, 1.0)),
        row_names=(
            ("energy needed at departure", reach.numel()),
            ("room for energy", fit.numel()),
            ("shared connection", joint.numel()),
            ("energy stored in a park", balance.numel()),
        ),
    )


def _cycling(task: Task, rates: Rates, which: Tensor) -> LinearBlock:
    """Storages that charge and discharge. Variables: charge, discharge, level, direction [W, T], missing [K, W].

    In slots where wasting energy could pay, whole numbers keep charging and discharging apart.
    """
    size, sessions = (len(which), task.here.shape[2]), task.here.shape[0]
    charge, discharge, level, direction, missing = places(size, size, size, size, (sessions, size[0]))
    balance, charging, giving, reach = places(size, size, size, (sessions, size[0]))
    gain, loss = rates.charge_efficiency[which, None], 1.0 / rates.discharge_efficiency[which, None]
    most, most_back = rates.charge_kwh[which, None], rates.discharge_kwh[which, None]
    here, time = task.here[:, which].any(dim=0), torch.arange(size[1])
    nothing, endless = torch.zeros(size), torch.full(size, torch.inf)
    ceiling, begin, kept, final = _levels(task, which)
    passed = torch.where(time < task.slot, endless, 0.0)
    return LinearBlock(
        cost=flat(nothing, nothing, nothing, nothing, task.price[:, which]),
        lower=torch.zeros(4 * charge.numel() + missing.numel(), dtype=torch.float64),
        upper=flat(most * here, most_back * here, ceiling, here, torch.full(missing.shape, torch.inf)),
        integer=flat(nothing, nothing, nothing, here & task.wasteful & (gain < loss), torch.zeros(missing.shape)) > 0.5,
        rows=matrix(
            (balance, level, 1.0),
            (balance[:, 1:], level[:, :-1], -kept[:, 1:]),
            (balance, charge, -gain),
            (balance, discharge, loss),
            (charging, charge, 1.0),
            (charging, direction, -most),
            (giving, discharge, 1.0),
            (giving, direction, most_back),
            (reach, missing, 1.0),
            (reach[..., None], level if sessions > 1 else level[:, -1:], final),
        ),
        row_lower=flat(begin - passed, -endless, -endless, task.target[:, which]),
        row_upper=flat(begin + passed, nothing, most_back.expand(size), torch.full(missing.shape, torch.inf)),
        energy=energy_map((time, which[:, None], charge, 1.0), (time, which[:, None], discharge, -1.0)),
        row_names=(
            ("stored energy", balance.numel()),
            ("either charging", charging.numel()),
            ("or discharging", giving.numel()),
            ("energy wanted in the end", reach.numel()),
        ),
    )


def _levels(task: Task, which: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return ceiling, right-hand side of the balance, share of the last level kept [W, T], and ends [K, W, T or 1].

    With one session a level just lasts from before it until after it. With several, each begins with its own energy.
    """
    time = torch.arange(task.here.shape[2])
    ahead = time >= task.slot
    if task.here.shape[0] == 1:
        ceiling = task.ceiling[0, which, None] * ahead
        begin = torch.where(time == task.slot, task.begin[0, which, None], 0.0)
        return ceiling, begin, torch.ones_like(begin), torch.ones(1, len(which), 1)
    here, begins = task.here[:, which], task.begins[:, which]
    anything = torch.where(ahead, torch.inf, 0.0)
    ceiling = torch.where(here.any(dim=0), (task.ceiling[:, which, None] * here).sum(dim=0), anything)
    begin = torch.where(time == task.slot, task.now[which, None], (task.begin[:, which, None] * begins).sum(dim=0))
    return ceiling, begin, 1.0 - begins.any(dim=0).double(), task.ends[:, which].double()
