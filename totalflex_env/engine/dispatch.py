"""The scripted aggregator: what each device is worth to it, kind by kind, as a rule with eight knobs.

Every bid says how much energy a device should take in this slot and at which prices it would take less or more. With
all knobs at zero this is the rule; a learner moves the knobs, so it starts from the rule and never leaves what is
feasible.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.devices import fleet, thermal
from totalflex_env.types import Situation

AGGREGATOR_CONTROLS = (
    ("vehicle_worth", "shift of what a vehicle pays for energy now, 0.05 EUR/kWh at 1"),
    ("vehicle_headroom", "share of the forecast headroom that vehicles plan with, factor 2 at 1"),
    ("vehicle_urgency", "what a vehicle pays more as its slack runs out, 0.1 EUR/kWh at 1"),
    ("heat_level", "shift of the heat stores' target, half of the comfort band at 1"),
    ("heat_gain", "how strongly the target follows the price, factor 3 at 1"),
    ("heat_hold", "price difference that moves heat away from its target, factor 8 at 1"),
    ("battery_level", "shift of the prices between which batteries rest, 0.05 EUR/kWh at 1"),
    ("battery_rest", "width between these prices, 0.05 EUR/kWh wider at 1"),
)
PRICE_STEP = 0.05
URGENCY = 0.1
HEAT_WINDOW = 32
"""Slots that the heat rule compares the present price with (a house keeps heat for about eight hours)."""
HEAT_GAIN = 1.5
HEAT_HOLD = 0.02
BATTERY_WINDOW = 48
BATTERY_SHARE = 0.2
"""Batteries buy in the cheapest fifth of the window and sell in the dearest."""


@dataclass(frozen=True)
class Bids:
    """Targets [B, N] kWh and prices [B, N] EUR/kWh of one slot."""

    target_kwh: Tensor
    worth_less: Tensor
    worth_more: Tensor


@dataclass(frozen=True)
class Prices:
    """The slots of the episode in rising order of price."""

    price: Tensor  # [B, T] rising
    slot: Tensor  # [B, T] the slot of each price


def bids(situation: Situation, controls: Tensor) -> Bids:
    """Return the bids of the rule with its knobs `controls` [B, 8] in -1..1."""
    knob = [controls[:, i : i + 1] for i in range(len(AGGREGATOR_CONTROLS))]
    parts = [_storages(situation, knob), _heat(situation, knob), _appliances(situation)]
    return Bids(*(torch.cat(part, dim=1) for part in zip(*parts, strict=True)))


def market(situation: Situation) -> Prices:
    """Return the prices of the episode in rising order."""
    outlook = situation.outlook
    return Prices(outlook.spot.gather(1, outlook.cheapest), outlook.cheapest)


def vehicle_price(situation: Situation, prices: Prices, share: Tensor) -> tuple[Tensor, Tensor]:
    """Return the price [B, S] that each vehicle would have to pay later, and the price [B, 1] that the fleet would.

    Alone a vehicle that waits charges in the cheapest later slots of its window. Together the vehicles fill
    `share` [B, 1] of the forecast headroom of the grid, from the cheapest slot on.
    """
    params, slot, known = situation.params.storage, situation.state.slot, situation.present
    missing = remaining_need(situation)
    slots_needed = torch.ceil(missing / params.charge_kwh - 1e-6)
    later = (prices.slot[:, None] > slot) & (prices.slot[:, None] < known.departure[..., None])
    own = _price_at(prices, later.cumsum(dim=2) >= slots_needed[..., None])
    room = share * headroom(situation).gather(1, prices.slot)
    present = ((prices.slot[:, None] >= known.arrival[..., None]) & later) * (params.charge_kwh * params.session)[
        :, None
    ]
    filled = torch.minimum(room.clamp(min=0.0), present.sum(dim=1)).cumsum(dim=1)
    fleet_price = _price_at(prices, (filled >= missing.sum(dim=1, keepdim=True))[:, None])
    return own, fleet_price


def remaining_need(situation: Situation) -> Tensor:
    """Return the energy [B, S] kWh that vehicles, also those still expected, have yet to draw."""
    known, params = situation.present, situation.params.storage
    open_session = (known.departure > situation.state.slot) & params.session
    begun = known.arrival <= situation.state.slot
    stored = torch.where(begun, situation.state.devices.stored_kwh, 0.0)
    return torch.where(open_session, (known.need_kwh - stored).clamp(min=0.0), 0.0)


def headroom(situation: Situation) -> Tensor:
    """Return the energy [B, T] kWh that the element next to the root can still carry beyond expected load and heat."""
    params, outlook = situation.params, situation.outlook
    if len(params.limited) == 0:
        return torch.full_like(outlook.spot, torch.inf)
    limit = params.grid.rating_kva[params.limited[-1]] * params.config.market.dso_share * params.slot_hours
    return limit - outlook.load_kwh - outlook.holding_kwh


def cheapness(situation: Situation, window: int) -> Tensor:
    """Return the share [B, 1] of the coming `window` slots whose price is above the present one, half if none is left."""
    slot, spot = situation.state.slot, situation.outlook.spot
    ahead = spot[:, slot + 1 : slot + 1 + window]
    if ahead.shape[1] == 0:
        return torch.full_like(spot[:, :1], 0.5)
    now = spot[:, slot : slot + 1]
    return ((ahead > now).to(spot.dtype) + 0.5 * (ahead == now).to(spot.dtype)).mean(dim=1, keepdim=True)


def _storages(situation: Situation, knob: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    params, slot = situation.params.storage, situation.state.slot
    own, together = vehicle_price(situation, market(situation), torch.exp(0.7 * knob[1]))
    slack = (situation.present.departure - slot) - remaining_need(situation) / params.charge_kwh
    urgent = knob[2] * URGENCY * torch.exp(-slack.clamp(min=0.0) / 8.0)
    worth = torch.maximum(own, together) + PRICE_STEP * knob[0] + urgent
    low, high = battery_prices(situation)
    centre, rest = (low + high) / 2.0 + PRICE_STEP * knob[6], ((high - low) / 2.0 + PRICE_STEP * knob[7]).clamp(min=0.0)
    target = fleet.split(situation.params, situation.lower)[0].clamp(min=0.0)
    return (
        target,
        torch.where(params.session, worth, centre + rest),
        torch.where(params.session, worth, centre - rest),
    )


def battery_prices(situation: Situation) -> tuple[Tensor, Tensor]:
    """Return the prices [B, 1] below which batteries buy and above which they sell, apart by at least their losses."""
    slot, spot = situation.state.slot, situation.outlook.spot
    ahead = spot[:, slot : slot + BATTERY_WINDOW].sort(dim=1).values
    rank = int(BATTERY_SHARE * (ahead.shape[1] - 1))
    mean = spot.mean(dim=1, keepdim=True).clamp(min=0.0)
    low, high = ahead[:, rank : rank + 1], ahead[:, ahead.shape[1] - 1 - rank :][:, :1]
    efficiency = situation.params.storage.charge_efficiency * situation.params.storage.discharge_efficiency
    refill = torch.maximum(high, mean)
    return torch.minimum(low, refill * efficiency.amin()) if len(efficiency) else low, refill


def _heat(situation: Situation, knob: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    params, now = situation.params.thermal, situation.present
    fill = 0.5 + HEAT_GAIN * torch.exp(1.1 * knob[4]) * (cheapness(situation, HEAT_WINDOW) - 0.5) + 0.5 * knob[3]
    heating = params.direction > 0.0
    low, high = torch.where(heating, params.lower, -params.upper), torch.where(heating, params.upper, -params.lower)
    level = low + fill.clamp(0.0, 1.0) * (high - low)
    target = thermal.energy_to(params, situation.state.devices.temperature, level, now.ambient, now.cop)
    lower, upper = (fleet.split(situation.params, bound)[1] for bound in (situation.lower, situation.upper))
    hold = HEAT_HOLD * torch.exp(2.1 * knob[5])
    price = situation.expected.spot[:, None].expand_as(target)
    return torch.minimum(torch.maximum(target, lower), upper), price + hold, price - hold


def _appliances(situation: Situation) -> tuple[Tensor, Tensor, Tensor]:
    """An appliance pays for its first slot what a later start would cost more."""
    params, slot, known = situation.params.appliance, situation.state.slot, situation.present
    lower = fleet.split(situation.params, situation.lower)[2]
    if lower.shape[1] == 0:
        return lower, lower, lower
    steps = params.profile_kwh.shape[1]
    padded = torch.cat([situation.outlook.spot[:, slot:], situation.outlook.spot[:, -1:].expand(-1, steps)], dim=1)
    cost = torch.einsum("btd,ad->bat", padded.unfold(1, steps, 1), params.profile_kwh)
    later = torch.arange(cost.shape[2], device=cost.device)
    delayed = cost + later * params.delay_price[:, None]
    allowed = (later > 0) & (slot + later <= known.latest[..., None])
    best = delayed.masked_fill(~allowed, torch.inf).amin(dim=2)
    first = params.profile_kwh[:, 0]
    now = cost[..., 0] - first * situation.outlook.spot[:, slot : slot + 1]
    cap = situation.params.config.market.price_cap
    worth = ((best - now) / first).clamp(-cap, cap)
    return lower, worth, worth


def _price_at(prices: Prices, enough: Tensor) -> Tensor:
    """Return the price [B, n] of the first slot, in rising order, where `enough` [B, n, T] holds, else the highest."""
    first = torch.where(enough.any(dim=2), enough.to(torch.int8).argmax(dim=2), enough.shape[2] - 1)
    return prices.price.gather(1, first)
