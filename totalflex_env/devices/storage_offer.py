"""The flex-offers of storages: any power, as long as what is stored stays within its bounds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.devices.losses import cycling
from totalflex_env.devices.offering import fixed
from totalflex_env.devices.storage_program import Rates
from totalflex_env.trade_types import FlexOfferBatch


@dataclass(frozen=True)
class Stay:
    """The present session of n storages, W slots from `slot` to the end of the horizon."""

    slot: int
    house: Tensor  # [n] int64
    arrival: Tensor  # [n] int64
    departure: Tensor  # [n] int64
    need_kwh: Tensor  # [n] stored energy at departure
    now_kwh: Tensor  # [n] stored
    ceiling_kwh: Tensor  # [n] most to be stored
    default: Tensor  # [n, W] energy left alone
    stored_kwh: Tensor  # [n, W] what is stored after each slot then
    most_kwh: Tensor  # [n, W] most energy in each slot
    floor_kwh: Tensor  # [n, W] least stored after each slot


def offer(stay: Stay, rates: Rates) -> FlexOfferBatch:
    """Offer each storage present any power it has until it leaves, as long as what it stores stays within its bounds.

    What is stored is at most charge_efficiency times the cumulative energy and at least what `losses.cycling` says. Its
    loss per slot must be covered even if nothing is cycled: the discharge power offered is the most whose loss the
    default can spare. Exact without losses, and for vehicles that only charge.
    """
    slices = stay.departure.clamp(max=stay.slot + stay.default.shape[1]) - stay.slot
    now, step = stay.now_kwh[:, None], torch.arange(1, stay.default.shape[1] + 1, device=slices.device)
    last = step == slices[:, None]
    need = torch.where(last, torch.minimum(stay.need_kwh[:, None], stay.stored_kwh), stay.floor_kwh)
    spare = torch.where(step <= slices[:, None], (stay.stored_kwh - need) / step, torch.inf).amin(1).clamp(min=0.0)
    efficiency = rates.charge_efficiency, rates.discharge_efficiency
    cycle = cycling(rates.charge_kwh, rates.discharge_kwh, efficiency, spare)
    room = (stay.ceiling_kwh[:, None] - now).clamp(min=0.0)
    highest = (room / rates.charge_efficiency[:, None]).expand_as(stay.default)
    lowest = (need - now + step * cycle.loss[:, None]) / cycle.gain[:, None]
    offers = fixed(stay.slot, stay.house, slices, stay.default)
    inside = step <= slices[:, None]
    bounded = ((cycle.discharge > 0.0) | (stay.floor_kwh > 0.0).any(dim=1))[:, None]
    offers = replace(
        offers,
        lower=torch.where(inside, -cycle.discharge[:, None], 0.0),
        upper=torch.where(inside, stay.most_kwh, 0.0),
        total_lower=torch.where(last, lowest, 0.0).sum(1),
        total_upper=highest[:, -1],
        level_lower=torch.where(inside & bounded, lowest, -torch.inf),
        level_upper=torch.where(inside & bounded, highest, torch.inf),
    )
    return take_rows(offers, (stay.arrival <= stay.slot) & (slices > 0))
