"""What the devices of one row can offer for the rest of the horizon.

Every offer holds what the device does left alone, and every assignment of it keeps the device inside its limits and, in
the weather of the forecast, inside its comfort band. Where losses or leakage do not fit bounds on cumulative energy,
the offer holds less than the device could do (an inner approximation), never more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.devices import storage, thermal
from totalflex_env.flexoffer.offers import concatenate, tighten, tolerance, used
from totalflex_env.trade_types import FlexOfferBatch, OfferState
from totalflex_env.types import DeviceState, Forecast, Params, Scenario, State


@dataclass(frozen=True)
class _Future:
    """One row over the W slots from `slot` to the end of the horizon, as the forecast has it."""

    params: Params
    scenario: Scenario  # [1, ...]
    devices: DeviceState  # [1, ...] at the start of `slot`
    slot: int


def generate(params: Params, forecast: Forecast, state: State, row: int = 0) -> FlexOfferBatch:
    """Return the flex-offers of the devices of one row, tightened, from `forecast.slot` to the end of the horizon.

    Left out are devices with nothing to offer: vehicles away or full, programmes that have ended. A price stands only
    on putting off a programme. Answer and assignment are due before the default would start.
    """
    index = torch.tensor([row], device=state.devices.stored_kwh.device)
    scenario, devices = take_rows(forecast.scenario, index), take_rows(state.devices, index)
    future = _Future(params, scenario, devices, forecast.slot)
    offers = tighten(concatenate([_storages(future), _thermals(future), _appliances(future)]))
    largest = torch.maximum(offers.lower.abs(), offers.upper.abs()).amax(1)
    return take_rows(offers, largest > tolerance(largest))


def _storages(future: _Future) -> FlexOfferBatch:
    """Offer each storage present any power it has until it leaves, as long as what it stores stays within its bounds.

    Storage gains g(e) = charge_efficiency * e of e >= 0 and e / discharge_efficiency of e < 0. As g is concave, the sum
    of g is at most charge_efficiency times the cumulative energy and at least what the chord of g over [-discharge,
    charge], gain * e - loss, sums up to. So `loss` per slot must be covered even if nothing is cycled: the discharge
    power offered is the most whose loss the default can spare. Exact without losses, and for vehicles that only charge.
    """
    store, scenario = future.params.storage, future.scenario
    default, stored = _storages_left_alone(future)
    slices = scenario.departure[0].clamp(max=future.slot + default.shape[1]) - future.slot
    now, step = future.devices.stored_kwh[0, :, None], torch.arange(1, default.shape[1] + 1, device=slices.device)
    last = step == slices[:, None]
    need = torch.where(last, torch.minimum(scenario.need_kwh[0, :, None], stored), 0.0)
    spare = torch.where(step <= slices[:, None], (stored - need) / step, torch.inf).amin(1).clamp(min=0.0)
    discharge, gain, loss = _cycling(future.params, spare)
    room = (torch.where(store.session, scenario.need_kwh[0], store.capacity_kwh)[:, None] - now).clamp(min=0.0)
    highest = (room / store.charge_efficiency[:, None]).expand_as(default)
    lowest = (need - now + step * loss[:, None]) / gain[:, None]
    offers = _default_only(future, torch.arange(len(store.house), device=slices.device), slices, default)
    both_ways, inside = (discharge > 0.0)[:, None], used(offers)
    offers = replace(
        offers,
        lower=torch.where(inside, -discharge[:, None], 0.0),
        upper=torch.where(inside, store.charge_kwh[:, None], 0.0),
        total_lower=torch.where(last, lowest, 0.0).sum(1),
        total_upper=highest[:, -1],
        level_lower=torch.where(inside & both_ways, lowest, -torch.inf),
        level_upper=torch.where(inside & both_ways, highest, torch.inf),
    )
    return take_rows(offers, (scenario.arrival[0] <= future.slot) & (slices > 0))


def _storages_left_alone(future: _Future) -> tuple[Tensor, Tensor]:
    """Return the energy [S, W] kWh that storages take left alone, and what they store after each slot [S, W]."""
    store, scenario = future.params.storage, future.scenario
    energies, stored = [], [future.devices.stored_kwh]
    for slot in range(future.slot, scenario.spot.shape[1]):
        energies.append(storage.default(store, *storage.limits(store, stored[-1], scenario, slot)))
        stored.append(storage.advance(store, stored[-1], energies[-1]))
    return torch.cat(energies).T, torch.cat(stored[1:]).T


def _cycling(params: Params, spare: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the discharge [S] kWh that loses at most `spare` [S] kWh per slot, and its chord: gain [S], loss [S]."""
    store = params.storage
    charging, discharging = store.charge_efficiency, 1.0 / store.discharge_efficiency
    most_loss = store.charge_kwh * (discharging - charging)  # with unlimited discharge power
    bearable = torch.where(most_loss > spare, spare * store.charge_kwh / (most_loss - spare), torch.inf)
    discharge = torch.minimum(store.discharge_kwh, bearable)
    gain = (charging * store.charge_kwh + discharging * discharge) / (store.charge_kwh + discharge)
    return discharge, gain, discharge * (discharging - gain)


def _thermals(future: _Future) -> FlexOfferBatch:
    """Offer thermal devices any power as long as the energy drawn since now stays near that of the default.

    A deviation x from the default moves the temperature after slot k by sum_j w_kj x_j, w_kj = retention^(k-j) *
    lift_j; by parts, w_kk X_k - sum_{j<k} (w_k,j+1 - w_kj) X_j of its cumulative sum X. With `weight`_k = w_kk + sum_j
    |w_k,j+1 - w_kj| and `slack`_k degrees to the nearer bound, |X_j| <= slack_k / weight_k for all k >= j therefore
    keeps every slot within its bounds. A device whose default has no slack at the end offers the default alone.
    """
    heat, scenario, slot = future.params.thermal, future.scenario, future.slot
    default, slack = _thermals_left_alone(future)
    margin = slack / _weights(heat.retention, heat.kelvin_per_kwh * scenario.cop[0, slot:]).T
    margin = margin.flip(1).cummin(1).values.flip(1)
    devices = len(future.params.storage.house) + torch.arange(len(heat.house), device=slack.device)
    offers = _default_only(future, devices, torch.full_like(devices, default.shape[1]), default)
    drawn = default.cumsum(1)
    return replace(
        offers,
        lower=torch.zeros_like(default),
        upper=heat.power_kwh[:, None].expand_as(default),
        total_lower=(drawn - margin)[:, -1],
        total_upper=(drawn + margin)[:, -1],
        level_lower=drawn - margin,
        level_upper=drawn + margin,
    )


def _thermals_left_alone(future: _Future) -> tuple[Tensor, Tensor]:
    """Return the energy [H, W] kWh that thermostats take, and the degrees [H, W] to the nearer bound then."""
    heat, scenario = future.params.thermal, future.scenario
    floor, ceiling = bounds = thermal.envelope(heat, scenario)
    temperature, energies, slack = future.devices.temperature, [], []
    for slot in range(future.slot, scenario.spot.shape[1]):
        allowed = thermal.limits(heat, temperature, scenario, bounds, slot)
        energies.append(thermal.default(heat, temperature, scenario, slot).clamp(*allowed))
        temperature = thermal.advance(heat, temperature, energies[-1], scenario, slot)
        level = heat.direction * temperature
        slack.append(torch.minimum(level - floor[:, slot + 1], ceiling[:, slot + 1] - level).clamp(min=0.0))
    return torch.cat(energies).T, torch.cat(slack).T


def _weights(retention: Tensor, lift: Tensor) -> Tensor:
    """Return the degrees [W, H] after each slot per kWh of margin, for lifts [W, H] in degrees per kWh."""
    variation, weights = torch.zeros_like(retention), [lift[0]]
    for before, now in pairwise(lift):
        variation = retention * variation + (now - retention * before).abs()
        weights.append(now + variation)
    return torch.stack(weights)


def _appliances(future: _Future) -> FlexOfferBatch:
    """Offer programmes that wait at any start in their window, and running ones as they run."""
    wash, scenario, slot = future.params.appliance, future.scenario, future.slot
    start, devices = future.devices.start[0], torch.arange(len(wash.house), device=wash.house.device)
    waiting = start >= slot
    done = torch.where(waiting, 0, slot - start)
    slices = (wash.duration - done).clamp(min=0)
    step = done[:, None] + torch.arange(wash.profile_kwh.shape[1], device=done.device)
    rest = wash.profile_kwh.gather(1, step.clamp(max=wash.profile_kwh.shape[1] - 1))
    rest = torch.where(step < wash.duration[:, None], rest, 0.0)
    offers = _default_only(future, len(future.params.house) - len(wash.house) + devices, slices, rest)
    earliest = torch.where(waiting, scenario.ready[0].clamp(min=slot), slot)
    return replace(
        offers,
        earliest=earliest,
        latest=torch.where(waiting, torch.maximum(scenario.latest[0], earliest), slot),
        default_start=earliest,
        price_shift=wash.delay_price,
        acceptance=earliest,
        assignment=earliest,
    )


def _default_only(future: _Future, devices: Tensor, slices: Tensor, default: Tensor) -> FlexOfferBatch:
    """Return offers of `devices` [n] that start now and allow their `default` [n, W] kWh over `slices` [n] alone."""
    now, total = torch.full_like(devices, future.slot), default.sum(1)
    unbounded = torch.full_like(default, torch.inf)
    return FlexOfferBatch(
        device=devices,
        house=future.params.house[devices],
        earliest=now,
        latest=now,
        slices=slices,
        lower=default,
        upper=default,
        total_lower=total,
        total_upper=total,
        level_lower=-unbounded,
        level_upper=unbounded,
        default_start=now,
        default=default,
        price_shift=torch.zeros_like(total),
        acceptance=now,
        assignment=now,
        state=torch.full_like(devices, OfferState.INITIAL),
    )
