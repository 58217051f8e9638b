"""The scripted aggregator: what each device is worth to it, kind by kind, as a rule with eight knobs.

Every bid says how much energy a device should take in this slot and at which prices it would take less or more. With
all knobs at zero this is the rule; a learner moves the knobs, so it starts from the rule and never leaves what is
feasible.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.devices import fleet, storage, thermal
from totalflex_env.engine import values
from totalflex_env.types import Situation

AGGREGATOR_CONTROLS = (
    ("vehicle_worth", "shift of what a vehicle pays for energy now, 0.05 EUR/kWh at 1"),
    ("vehicle_headroom", "share of the forecast headroom that vehicles plan with, factor 2 at 1"),
    ("vehicle_urgency", "what a vehicle pays more as its slack runs out, 0.1 EUR/kWh at 1"),
    ("vehicle_hold", "price difference that moves a vehicle away from its plan, 0.02 EUR/kWh more at 1"),
    ("heat_worth", "factor on the value of heat, 1.6 at 1"),
    ("heat_hold", "price difference that moves heat away from its plan, 0.02 EUR/kWh more at 1"),
    ("battery_worth", "factor on the value of stored energy, 1.6 at 1"),
    ("battery_hold", "price difference that moves a battery away from its plan, 0.02 EUR/kWh more at 1"),
)
PRICE_STEP = 0.05
HOLD = 0.02
"""EUR/kWh. Balance prices are noisy and stay on one side for hours: following each of them moves too much."""
URGENCY = 0.1
FACTOR = 0.47
"""Logarithm of the factor at 1."""
STEPS = 9
"""Points at which the value of stored energy is read between the limits of a slot."""


@dataclass(frozen=True)
class Bids:
    """Targets [B, N] kWh and prices [B, N] EUR/kWh of one slot."""

    target_kwh: Tensor
    worth_less: Tensor
    worth_more: Tensor


@dataclass(frozen=True)
class Prices:
    """Slots in rising order of price."""

    price: Tensor  # [B, T] rising
    slot: Tensor  # [B, T] the slot of each price


def bids(situation: Situation, controls: Tensor) -> Bids:
    """Return the bids of the rule with its knobs `controls` [B, 8] in -1..1."""
    knob = [controls[:, i : i + 1] for i in range(len(AGGREGATOR_CONTROLS))]
    parts = [_storages(situation, knob), _heat(situation, knob), _appliances(situation)]
    return Bids(*(torch.cat(part, dim=1) for part in zip(*parts, strict=True)))


def market(situation: Situation) -> Prices:
    """Return the prices of this and all later slots in rising order."""
    outlook = situation.outlook
    slot = outlook.cheapest[outlook.cheapest >= situation.state.slot].reshape(len(outlook.spot), -1)
    return Prices(outlook.spot.gather(1, slot), slot)


def vehicle_price(situation: Situation, prices: Prices, share: Tensor) -> tuple[Tensor, Tensor]:
    """Return the price [B, S] that each vehicle would have to pay later, and the price [B, 1] that the fleet would.

    Alone a vehicle that waits charges in the cheapest later slots of its window. Together the vehicles fill
    `share` [B, 1] of the forecast headroom of the grid, from the cheapest slot on.
    """
    params, known, missing = situation.params.storage, situation.present, remaining_need(situation)
    when = prices.slot[:, None]
    later = (when > situation.state.slot) & (when < known.departure[..., None])
    slots_needed = torch.ceil(missing / params.charge_kwh - 1e-6)
    own = _price_at(prices, later.to(missing.dtype).cumsum(dim=2) < slots_needed[..., None])
    there = (later & (when >= known.arrival[..., None])).to(missing.dtype)
    most = torch.einsum("s,bst->bt", params.charge_kwh * params.session, there)
    filled = torch.minimum((share * headroom(situation)).gather(1, prices.slot).clamp(min=0.0), most).cumsum(dim=1)
    fleet_price = _price_at(prices, (filled < missing.sum(dim=1, keepdim=True))[:, None])
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
    """Return the share [B, 1] of the coming `window` slots with a price above the present one, half if none is left."""
    slot, spot = situation.state.slot, situation.outlook.spot
    ahead = spot[:, slot + 1 : slot + 1 + window]
    if ahead.shape[1] == 0:
        return torch.full_like(spot[:, :1], 0.5)
    now = spot[:, slot : slot + 1]
    return ((ahead > now).to(spot.dtype) + 0.5 * (ahead == now).to(spot.dtype)).mean(dim=1, keepdim=True)


def _storages(situation: Situation, knob: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    params, slot = situation.params.storage, situation.state.slot
    lower, upper = (fleet.split(situation.params, bound)[0] for bound in (situation.lower, situation.upper))
    own, together = vehicle_price(situation, market(situation), torch.exp(0.7 * knob[1]))
    slack = (situation.present.departure - slot) - remaining_need(situation) / params.charge_kwh
    urgent = knob[2] * URGENCY * torch.exp(-slack.clamp(min=0.0) / 8.0)
    worth = torch.maximum(own, together) + PRICE_STEP * knob[0] + urgent
    spot = situation.expected.spot[:, None]
    vehicle = _plan((torch.where(worth > spot, upper, lower), worth, worth), knob[3])
    battery = _batteries(situation, lower, upper, knob)
    target, less, more = (torch.where(params.session, a, b) for a, b in zip(vehicle, battery, strict=True))
    return target, less, more


def _batteries(situation: Situation, lower: Tensor, upper: Tensor, knob: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """A battery buys below and sells above what its stored energy will be worth, losses included."""
    params, slopes = situation.params.storage, situation.outlook.storage_value[:, situation.state.slot + 1]
    energy = _steps(lower, upper).movedim(-1, 0)
    stored = storage.advance(params, situation.state.devices.stored_kwh, energy)
    value = values.slope_at(slopes, (stored / params.capacity_kwh).movedim(0, -1), 0.0)
    middle = _between(energy.movedim(0, -1))
    per_kwh = torch.where(middle > 0.0, params.charge_efficiency[:, None], 1.0 / params.discharge_efficiency[:, None])
    worth = _between(value) * per_kwh * torch.exp(FACTOR * knob[6])[..., None]
    return _plan(_bought(situation, worth, lower, upper), knob[7])


def _heat(situation: Situation, knob: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Heat is bought until the value of one more kelvin has fallen to its price."""
    params, now, slot = situation.params.thermal, situation.present, situation.state.slot
    lower, upper = (fleet.split(situation.params, bound)[1] for bound in (situation.lower, situation.upper))
    empty, full = thermal.level_band(params)
    idle = thermal.idle_level(params, params.direction * situation.state.devices.temperature, now.ambient)
    lift = params.kelvin_per_kwh * now.cop
    fill = (idle[..., None] + lift[..., None] * _steps(lower, upper) - empty[:, None]) / (full - empty)[:, None]
    value = values.slope_at(situation.outlook.heat_value[:, slot + 1], fill, 0.0)
    worth = _between(value) * lift[..., None] * torch.exp(FACTOR * knob[4])[..., None]
    return _plan(_bought(situation, worth, lower, upper), knob[5])


def _steps(lower: Tensor, upper: Tensor) -> Tensor:
    """Return energies [B, n, STEPS] from lower to upper limit."""
    steps = torch.linspace(0.0, 1.0, STEPS, dtype=lower.dtype, device=lower.device)
    return torch.lerp(lower[..., None], upper[..., None], steps)


def _between(value: Tensor) -> Tensor:
    """Return the means [..., n - 1] of neighbours in [..., n]."""
    return (value[..., 1:] + value[..., :-1]) / 2.0


def _bought(situation: Situation, worth: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the energy [B, n] kWh that is taken at the spot price when its steps are worth this [B, n, STEPS - 1].

    With it come the mean worth [B, n] of the steps that are taken, and of those that are not.
    """
    taken = (worth > situation.expected.spot[:, None, None]).to(worth.dtype)
    number = taken.sum(dim=2)
    less = (worth * taken).sum(dim=2) / number.clamp(min=1.0)
    more = (worth * (1.0 - taken)).sum(dim=2) / (STEPS - 1 - number).clamp(min=1.0)
    return torch.lerp(lower, upper, number / (STEPS - 1)), less, more


def _plan(bid: tuple[Tensor, Tensor, Tensor], knob: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return a bid that only a price difference beyond the hold, set by `knob` [B, 1], moves away from its target."""
    target, less, more = bid
    hold = HOLD * (1.0 + knob)
    return target, less + hold, more - hold


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


def _price_at(prices: Prices, too_few: Tensor) -> Tensor:
    """Return the price [B, n] of the first slot in rising order at which `too_few` [B, n, T] ends, else the highest."""
    return prices.price.gather(1, too_few.sum(dim=2).clamp(max=too_few.shape[2] - 1))
