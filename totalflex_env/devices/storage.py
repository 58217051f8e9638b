"""Storages: stationary batteries with losses, and electric vehicles present for one session.

Stored energy follows stored' = stored + charge_efficiency * drawn - given / discharge_efficiency. A vehicle's
stored energy counts from its arrival; it asks for `need_kwh` at departure and takes no more (valve model).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.config import BatteryConfig, EvConfig
from totalflex_env.linear_types import LinearBlock, energy_map, flat, join, matrix, places
from totalflex_env.types import Scenario, StorageParams


def build(ev: EvConfig, battery: BatteryConfig, houses: int, slot_hours: float) -> StorageParams:
    """Return the parameters of all vehicles, then all batteries; number i stands at house i modulo `houses`."""
    counts = (ev.count, battery.count)

    def both(of_ev: float, of_battery: float) -> Tensor:
        return torch.cat(
            [torch.full((n,), v, dtype=torch.float64) for n, v in zip(counts, (of_ev, of_battery), strict=True)]
        )

    return StorageParams(
        charge_kwh=both(ev.power_kw, battery.power_kw) * slot_hours,
        discharge_kwh=both(0.0, battery.power_kw) * slot_hours,
        capacity_kwh=both(ev.need_max_kwh, battery.capacity_kwh),
        charge_efficiency=both(1.0, battery.charge_efficiency),
        discharge_efficiency=both(1.0, battery.discharge_efficiency),
        unmet_price=both(ev.unmet_price, 0.0),
        session=both(1.0, 0.0) > 0.5,
        house=torch.cat([torch.arange(n) % houses for n in counts]),
    )


def present(scenario: Scenario, slot: int) -> Tensor:
    """Return which storages are connected in a slot [B, S] bool."""
    return (scenario.arrival <= slot) & (slot < scenario.departure)


def level_bounds(params: StorageParams, scenario: Scenario, slot: int) -> tuple[Tensor, Tensor]:
    """Return the stored energy [B, S] after `slot` that still allows for the need, and the most that may be stored."""
    slots_left = (scenario.departure - slot - 1).clamp(min=0)
    reachable = slots_left * params.charge_kwh * params.charge_efficiency
    ceiling = torch.where(params.session, scenario.need_kwh, params.capacity_kwh)
    return (scenario.need_kwh - reachable).clamp(min=0.0), ceiling


def limits(params: StorageParams, stored: Tensor, scenario: Scenario, slot: int) -> tuple[Tensor, Tensor]:
    """Return the energy range [B, S] kWh of a slot that keeps every later need feasible (recursive feasibility)."""
    floor, ceiling = level_bounds(params, scenario, slot)
    lower = _grid_energy(params, floor - stored)
    upper = _grid_energy(params, (ceiling - stored).clamp(min=0.0))
    lower = torch.minimum(torch.maximum(lower, -params.discharge_kwh), params.charge_kwh)
    upper = torch.maximum(torch.minimum(upper, params.charge_kwh), lower)
    here = present(scenario, slot)
    return torch.where(here, lower, 0.0), torch.where(here, upper, 0.0)


def default(params: StorageParams, lower: Tensor, upper: Tensor) -> Tensor:
    """Return what the device's own controller does [B, S] kWh: a vehicle charges at once, a battery idles."""
    return torch.where(params.session, upper, torch.zeros_like(upper).clamp(lower, upper))


def advance(params: StorageParams, stored: Tensor, energy: Tensor) -> Tensor:
    """Return the stored energy [B, S] kWh after a slot in which `energy` [B, S] kWh was drawn from the grid."""
    charged = energy.clamp(min=0.0) * params.charge_efficiency
    discharged = energy.clamp(max=0.0) / params.discharge_efficiency
    return stored + charged + discharged


def unmet(params: StorageParams, stored: Tensor, scenario: Scenario, slot: int) -> Tensor:
    """Return the energy [B, S] kWh that is missing of vehicles leaving at the end of `slot`; `stored` is after it."""
    leaving = (scenario.departure == slot + 1) & params.session
    return torch.where(leaving, (scenario.need_kwh - stored).clamp(min=0.0), 0.0)


def _grid_energy(params: StorageParams, change: Tensor) -> Tensor:
    """Return the grid-side energy that changes the stored energy by `change`."""
    return torch.where(change > 0.0, change / params.charge_efficiency, change * params.discharge_efficiency)


@dataclass(frozen=True)
class _Outlook:
    """What the rest of an episode allows and asks of storages; T slots, one row of a batch."""

    slot: int  # first slot that is still open
    here: Tensor  # [S, T] bool, connected in an open slot
    stored: Tensor  # [S] kWh now
    ceiling: Tensor  # [S] most stored energy
    target: Tensor  # [S] stored energy wanted in the end: the need, or what a battery held at the start
    price: Tensor  # [S] EUR per kWh of stored energy missing in the end


def linear(params: StorageParams, stored: Tensor, scenario: Scenario, slot: int, exclusive: Tensor) -> LinearBlock:
    """Return the storages as a linear program from `stored` [1, S] kWh at the start of `slot`; `scenario` has one row.

    In slots `exclusive` [T] bool, where wasting energy could pay, whole numbers keep charging and discharging apart.
    """
    slots = scenario.spot.shape[1]
    refill = scenario.spot.mean().clamp(min=0.0) / params.charge_efficiency
    due = (scenario.departure[0] > 0) & (scenario.departure[0] <= slots)
    outlook = _Outlook(
        slot=slot,
        here=torch.stack([present(scenario, t)[0] & (t >= slot) for t in range(slots)], dim=1),
        stored=stored[0],
        ceiling=torch.maximum(torch.where(params.session, scenario.need_kwh[0], params.capacity_kwh), stored[0]),
        target=torch.where(params.session, scenario.need_kwh[0], scenario.stored_kwh[0]),
        price=torch.where(params.session, params.unmet_price * due, refill),
    )
    return join([_charging(params, outlook), _cycling(params, outlook, exclusive)])


def _charging(params: StorageParams, outlook: _Outlook) -> LinearBlock:
    """Storages that give nothing back: only the sum of their charging counts. Variables: charge [C, T], missing [C]."""
    which = torch.nonzero(params.discharge_kwh <= 0.0).flatten()
    size = (len(which), outlook.here.shape[1])
    charge, missing = places(size, size[:1])
    reach, fit = places(size[:1], size[:1])
    gain, stored = params.charge_efficiency[which, None], outlook.stored[which]
    nothing, endless = torch.zeros(size[0]), torch.full(size[:1], torch.inf)
    return LinearBlock(
        cost=flat(torch.zeros(size), outlook.price[which]),
        lower=flat(torch.zeros(size), nothing),
        upper=flat(params.charge_kwh[which, None] * outlook.here[which], endless),
        integer=torch.zeros(charge.numel() + size[0], dtype=torch.bool),
        rows=matrix((reach[:, None], charge, gain), (reach, missing, 1.0), (fit[:, None], charge, gain)),
        row_lower=flat(outlook.target[which] - stored, -endless),
        row_upper=flat(endless, outlook.ceiling[which] - stored),
        energy=energy_map((torch.arange(size[1]), which[:, None], charge, 1.0)),
    )


def _cycling(params: StorageParams, outlook: _Outlook, exclusive: Tensor) -> LinearBlock:
    """Storages that charge and discharge. Variables: charge, discharge, level, direction [W, T], missing [W]."""
    which = torch.nonzero(params.discharge_kwh > 0.0).flatten()
    size = (len(which), outlook.here.shape[1])
    charge, discharge, level, direction, missing = places(size, size, size, size, size[:1])
    balance, charging, giving, reach = places(size, size, size, size[:1])
    gain, loss = params.charge_efficiency[which, None], 1.0 / params.discharge_efficiency[which, None]
    most, most_back = params.charge_kwh[which, None], params.discharge_kwh[which, None]
    here, time = outlook.here[which], torch.arange(size[1])
    nothing, endless = torch.zeros(size), torch.full(size, torch.inf)
    ceiling = outlook.ceiling[which, None] * (time >= outlook.slot)
    begin = torch.where(time == outlook.slot, outlook.stored[which, None], 0.0)
    passed = torch.where(time < outlook.slot, endless, 0.0)
    return LinearBlock(
        cost=flat(nothing, nothing, nothing, nothing, outlook.price[which]),
        lower=torch.zeros(4 * charge.numel() + size[0], dtype=torch.float64),
        upper=flat(most * here, most_back * here, ceiling, here, endless[:, 0]),
        integer=flat(nothing, nothing, nothing, here & exclusive & (gain < loss), nothing[:, 0]) > 0.5,
        rows=matrix(
            (balance, level, 1.0),
            (balance[:, 1:], level[:, :-1], -1.0),
            (balance, charge, -gain),
            (balance, discharge, loss),
            (charging, charge, 1.0),
            (charging, direction, -most),
            (giving, discharge, 1.0),
            (giving, direction, most_back),
            (reach, missing, 1.0),
            (reach, level[:, -1], 1.0),
        ),
        row_lower=flat(begin - passed, -endless, -endless, outlook.target[which]),
        row_upper=flat(begin + passed, nothing, most_back.expand(size), endless[:, 0]),
        energy=energy_map((time, which[:, None], charge, 1.0), (time, which[:, None], discharge, -1.0)),
    )
