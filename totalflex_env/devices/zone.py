"""Zones: rooms and tanks with two heat capacities, gains of sun and people, and a comfort band that changes.

    T' = kept T + by_outside T_outside + by_sun sun + by_heat (gains + effect * energy)        T = (air, mass)

`effect` is heat per electric energy: a coefficient of performance, negative while a reversible heat pump cools.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from totalflex_env.devices import zone_bid, zone_guard, zone_offer, zone_program
from totalflex_env.devices.bidding import Bid, View
from totalflex_env.devices.circuit import Circuit, solve
from totalflex_env.devices.family import Discomfort, Family, Range, Rest, Weather
from totalflex_env.devices.thermal import COP_LOSS_PER_KELVIN, coefficient_of_performance
from totalflex_env.devices.zone_guard import Envelope
from totalflex_env.linear_types import LinearBlock
from totalflex_env.trade_types import FlexOfferBatch


@dataclass(frozen=True)
class Rooms:
    """What the weather and people do to zones, and what people want."""

    outdoors: Tensor  # [B, T, n] temperature
    sun: Tensor  # [B, T, n] kW/m2
    gain_kwh: Tensor  # [B, T, n] heat of people and machines, negative for hot water that is drawn
    lower: Tensor  # [B, T, n] degrees at the end of each slot, comfort band
    upper: Tensor  # [B, T, n]
    setpoint: Tensor  # [B, T, n]
    start: Tensor  # [B, 2, n] air and mass at the beginning


@dataclass(frozen=True)
class Warmth:
    """Temperatures at the start of a slot."""

    air: Tensor  # [B, n]
    mass: Tensor  # [B, n]


@dataclass(frozen=True)
class Zone(Family[Rooms, Warmth, Envelope]):
    """Parameters of zones; pairs of numbers belong to air and mass."""

    power_kwh: Tensor  # [n] most electric energy per slot
    kept: Tensor  # [2, 2, n] what is left after a slot: to, from
    by_outside: Tensor  # [2, n] kelvin per kelvin
    by_sun: Tensor  # [2, n] kelvin per kW/m2
    by_heat: Tensor  # [2, n] kelvin per kWh
    capacity: Tensor  # [2, n] kWh per kelvin
    loss_kwh_per_k: Tensor  # [n] heat lost in a slot per kelvin of difference
    sun_kwh: Tensor  # [n] heat won in a slot per kW/m2
    sheltered: Tensor  # [n] bool, stands in a room, not against the weather
    indoors_c: Tensor  # [n] temperature of that room
    rod: Tensor  # [n] bool, heated by a rod, not by a heat pump
    flow_c: Tensor  # [n] supply temperature of the heat pump
    cooling_above_c: Tensor  # [n] temperature outdoors from which a reversible heat pump cools, infinite for others
    cooling_effect: Tensor  # [n] cold per electric energy
    margin_k: Tensor  # [n] error of the temperature outdoors that the limits withstand
    degree_hour_price: Tensor  # [n] EUR per degree-hour outside the band

    @classmethod
    def joined(cls, parts: Sequence[Zone]) -> Zone:
        """Return the zones of several kinds as one record; their axis is the last one."""
        return Zone(*(torch.cat(column, dim=-1) for column in zip(*(vars(part).values() for part in parts))))

    def with_pump(self, power_kwh: float, flow_c: float, margin_k: float, price: float) -> Zone:
        """Return the zones with a heat pump of this power, their weather margin and the price of a degree-hour."""
        numbers = (torch.full_like(self.power_kwh, each) for each in (power_kwh, flow_c, margin_k, price))
        power, flow, margin, degree_hour_price = numbers
        return replace(self, power_kwh=power, flow_c=flow, margin_k=margin, degree_hour_price=degree_hour_price)

    def in_room(self, room_c: float, rod: bool) -> Zone:
        """Return the zones as they stand in a room, perhaps heated by a rod."""
        yes = torch.ones_like(self.sheltered)
        return replace(self, sheltered=yes, indoors_c=torch.full_like(self.indoors_c, room_c), rod=yes & rod)

    def reversible(self, above_c: float, effect: float) -> Zone:
        """Return the zones with a heat pump that cools from a temperature outdoors on."""
        above, cold = torch.full_like(self.flow_c, above_c), torch.full_like(self.flow_c, effect)
        return replace(self, cooling_above_c=above, cooling_effect=cold)

    def range_kwh(self) -> tuple[Tensor, Tensor]:
        """Return nothing and full power [n] kWh."""
        return torch.zeros_like(self.power_kwh), self.power_kwh

    def effect(self, outdoors: Tensor) -> Tensor:
        """Return the heat per electric energy [..., n] at temperatures outdoors [..., n], negative when cooling."""
        heating = torch.where(self.rod, 1.0, coefficient_of_performance(outdoors, self.flow_c))
        return torch.where(outdoors > self.cooling_above_c, -self.cooling_effect, heating)

    def drift(self, habits: Rooms, around: Tensor, slot: int | slice) -> Tensor:
        """Return what sun, people and `around` [B, ..., n] degrees add to air and mass [2, B, ..., n] in a slot."""
        sun, gain = habits.sun[:, slot], habits.gain_kwh[:, slot]
        by_outside, by_sun, by_heat = (
            by.reshape(2, *[1] * (sun.dim() - 1), -1) for by in (self.by_outside, self.by_sun, self.by_heat)
        )
        return by_outside * around + by_sun * sun + by_heat * gain

    def around(self, habits: Rooms) -> Tensor:
        """Return the temperature around the zones [B, T, n]."""
        return torch.where(self.sheltered, self.indoors_c, habits.outdoors)

    def present(self, actual: Rooms, expected: Rooms, slot: int, slots: int) -> Rooms:
        """Return weather, people and wishes of `slot`, which are known, as series of length one."""
        now = slice(slot, slot + 1)
        series = {name: part[:, now] for name, part in vars(actual).items() if name != "start"}
        return Rooms(**series, start=actual.start)

    def known(self, actual: Rooms, expected: Rooms, weather: Weather, slot: int) -> Rooms:
        """Return the weather as forecast, people and wishes as they were up to `slot` and as expected after it."""
        until, after = slice(slot + 1), slice(slot + 1, None)
        people = {
            name: torch.cat([vars(actual)[name][:, until], vars(expected)[name][:, after]], dim=1)
            for name in ("gain_kwh", "lower", "upper", "setpoint")
        }
        outdoors, sun = (part[..., None].expand_as(actual.sun) for part in (weather.temperature, weather.irradiance))
        return Rooms(outdoors=outdoors, sun=sun, start=expected.start, **people)

    def without(self, habits: Rooms, there: Tensor) -> Rooms:
        """Return zones that are as warm as it is around them, without sun and gains, where none is there."""
        neutral = {name: self.indoors_c for name in ("outdoors", "lower", "upper", "setpoint", "start")}
        parts = {name: torch.where(there[:, None], part, neutral.get(name, 0.0)) for name, part in vars(habits).items()}
        return Rooms(**parts)

    def guard(self, expected: Rooms) -> Envelope:
        """Return the comfort bands, and the coldest and warmest weather within the margin with the pump against it."""
        around, margin = self.around(expected), torch.where(self.sheltered, 0.0, self.margin_k)
        effect = self.effect(expected.outdoors) * (1.0 - COP_LOSS_PER_KELVIN * margin) * self.power_kwh
        full = effect.clamp(min=0.0), effect.clamp(max=0.0)
        drive = [
            self.drift(expected, around + sign * margin, slice(None)) + self.by_heat[:, None, None] * heat
            for sign, heat in zip((-1.0, 1.0), full)
        ]
        return Envelope(
            band=torch.stack([expected.lower, expected.upper], dim=2),
            drive=torch.stack(drive, dim=1).permute(2, 3, 1, 0, 4).contiguous(),
        )

    def start(self, habits: Rooms) -> Warmth:
        """Return the temperatures at the beginning."""
        return Warmth(habits.start[:, 0], habits.start[:, 1])

    def idle(self, state: Warmth, habits: Rooms, slot: int) -> Warmth:
        """Return the temperatures after a slot without energy."""
        around = torch.where(self.sheltered, self.indoors_c, habits.outdoors[:, slot])
        air, mass = (
            kept[0] * state.air + kept[1] * state.mass + drift
            for kept, drift in zip(self.kept, self.drift(habits, around, slot))
        )
        return Warmth(air, mass)

    def limits(self, state: Warmth, habits: Rooms, guard: Envelope, slot: int) -> Range:
        """Return the range that keeps comfort ahead, as far as possible; a thermostat is the default.

        What power can still do for comfort goes first: heating is not held back by what it could be too warm later.
        """
        idle, effect = self.idle(state, habits, slot), self.effect(habits.outdoors[:, slot])
        at_rest = torch.stack([idle.air, idle.mass])
        floor, ceiling = zone_guard.needs(self.kept, guard, at_rest, self.by_heat, slot)
        heating = effect > 0.0
        least, most = torch.where(heating, floor, ceiling) / effect, torch.where(heating, ceiling, floor) / effect
        lower = torch.minimum(least.clamp(min=0.0), self.power_kwh)
        upper = torch.maximum(torch.minimum(most, self.power_kwh), lower)
        thermostat = (habits.setpoint[:, slot] - idle.air) / (self.by_heat[0] * effect)
        return Range(lower, upper, torch.minimum(torch.maximum(thermostat, lower), upper))

    def advance(self, state: Warmth, energy: Tensor, habits: Rooms, slot: int) -> Warmth:
        """Return the temperatures after a slot in which `energy` [B, n] kWh was used."""
        heat = self.effect(habits.outdoors[:, slot]) * energy
        idle = self.idle(state, habits, slot)
        return Warmth(idle.air + self.by_heat[0] * heat, idle.mass + self.by_heat[1] * heat)

    def discomfort(self, after: Warmth, habits: Rooms, slot: int, slot_hours: float) -> Discomfort:
        """Return the degree-hours outside the comfort band of the slot."""
        low, high = habits.lower[:, slot], habits.upper[:, slot]
        outside = ((low - after.air).clamp(min=0.0) + (after.air - high).clamp(min=0.0)) * slot_hours
        return Discomfort(cost=outside * self.degree_hour_price, degree_hours=outside)

    def shortfall(self, end: Warmth, habits: Rooms) -> Tensor | None:
        """Return the energy [B, n] kWh that brings the heat, or in times of cooling the cold, back to the beginning."""
        effect = self.effect(habits.outdoors).mean(dim=1)
        missing = self.capacity[0] * (habits.start[:, 0] - end.air) + self.capacity[1] * (habits.start[:, 1] - end.mass)
        return (missing / effect).clamp(min=0.0)

    def offer(self, rest: Rest[Rooms, Warmth, Envelope]) -> FlexOfferBatch:
        """Offer any power as long as the energy drawn since now stays near that of the default."""
        default, states = self.left_alone(rest)
        air, mass = torch.cat([state.air for state in states]), torch.cat([state.mass for state in states])
        effect = self.effect(rest.habits.outdoors[0, rest.slot :])
        ahead = zone_guard.directions(self.kept, rest.slots)
        floor, ceiling = zone_guard.conditions(self.kept, rest.guard)[..., rest.slot :]
        level = torch.einsum("rcn,ckn->rnk", ahead, torch.stack([air, mass]))
        slack = torch.minimum(level - floor, ceiling - level).clamp(min=0.0).permute(0, 2, 1)
        response = zone_offer.responses(self.kept, self.by_heat[:, None] * effect)
        room = zone_offer.Room(self.house, self.power_kwh, default, slack, response, ahead)
        return zone_offer.offer(rest.slot, room)

    def linear(self, rest: Rest[Rooms, Warmth, Envelope]) -> LinearBlock:
        """Return the zones as a linear program; see `zone_program`."""
        habits, effect = rest.habits, self.effect(rest.habits.outdoors[0])
        drift = self.drift(habits, self.around(habits), slice(None))[:, 0]
        state = torch.stack([rest.state.air[0], rest.state.mass[0]])
        drift[:, rest.slot] += (self.kept * state).sum(dim=1)
        mean = effect.mean(dim=0)
        return zone_program.linear(
            zone_program.Task(
                slot=rest.slot,
                slot_hours=rest.slot_hours,
                power_kwh=self.power_kwh,
                kept=self.kept,
                drift=drift.movedim(1, 2),
                lift=(self.by_heat[:, None] * effect).movedim(1, 2),
                band=(habits.lower[0].T, habits.upper[0].T),
                ahead=zone_guard.directions(self.kept, rest.slots),
                conditions=zone_guard.conditions(self.kept, rest.guard),
                content=self.capacity / mean,
                start=(self.capacity * habits.start[0]).sum(dim=0) / mean,
                degree_hour_price=self.degree_hour_price,
                refill=rest.spot.mean().clamp(min=0.0).expand(len(self.house)),
            )
        )

    def holding(self, expected: Rooms) -> Tensor | None:
        """Return the energy [B, T] kWh that keeps zones at their set-points in a steady state."""
        needed = self.holding_heat(expected) / self.effect(expected.outdoors)
        return torch.minimum(needed.clamp(min=0.0), self.power_kwh).sum(dim=2)

    def holding_heat(self, habits: Rooms) -> Tensor:
        """Return the heat [B, T, n] kWh that keeps zones at their set-points in a steady state, negative for cold."""
        lost = self.loss_kwh_per_k * (habits.setpoint - self.around(habits))
        return lost - self.sun_kwh * habits.sun - habits.gain_kwh

    def value(self, expected: Rooms, spot: Tensor) -> Tensor | None:
        """Return the marginal value [B, T + 1, n, LEVELS] EUR/K of the zones' slow mode in its band."""
        missing_kwh_per_k = self.capacity.sum(dim=0) / self.effect(expected.outdoors).mean(dim=1)
        ends = expected.start.movedim(1, 0), missing_kwh_per_k
        return zone_bid.values(zone_bid.modes(self.kept), self.course(expected), self.power_kwh, ends, spot)

    def bid(self, view: View[Rooms, Warmth]) -> Bid:
        """Return bids that buy heat, or cold, until the value of one more kelvin has fallen to its price."""
        idle = self.idle(view.state, view.present, 0)
        at_rest = torch.stack([idle.air, idle.mass])
        return zone_bid.bid(zone_bid.modes(self.kept), self.course(view.present), at_rest, view)

    def course(self, habits: Rooms) -> zone_bid.Course:
        """Return what happens to the zones in every slot of `habits`."""
        by_heat = self.by_heat[:, None, None]
        return zone_bid.Course(
            lower=habits.lower,
            width=zone_bid.width(habits.lower, habits.upper),
            coming=self.drift(habits, self.around(habits), slice(None)),
            holding=by_heat * self.holding_heat(habits),
            lift=by_heat * self.effect(habits.outdoors),
        )

    def fill(self, view: View[Rooms, Warmth]) -> Tensor:
        """Return how warm the air is [B, n]: 0 at the lower, 1 at the upper end of its comfort band."""
        low, high = view.present.lower[:, 0], view.present.upper[:, 0]
        return (view.state.air - low) / zone_bid.width(low, high)


def zone_of(circuit: Circuit, house: Tensor, slot_hours: float) -> Zone:
    """Return zones [n], all of one circuit, without anything that heats them."""
    count, nothing = len(house), torch.zeros(len(house), dtype=torch.float64)
    kept, gains = solve(circuit, slot_hours)
    outer = circuit.outer_k_per_kw + circuit.inner_k_per_kw
    masses = [circuit.air_kwh_per_k, circuit.mass_kwh_per_k if math.isfinite(circuit.inner_k_per_kw) else 0.0]
    return Zone(
        house=house,
        power_kwh=nothing,
        kept=kept[..., None].repeat(1, 1, count),
        by_outside=gains[:, 0, None].repeat(1, count),
        by_sun=gains[:, 1, None].repeat(1, count),
        by_heat=gains[:, 2, None].repeat(1, count),
        capacity=torch.tensor(masses, dtype=torch.float64)[:, None].repeat(1, count),
        loss_kwh_per_k=nothing + (1.0 / circuit.leak_k_per_kw + 1.0 / outer) * slot_hours,
        sun_kwh=nothing + circuit.sun_area_m2 * slot_hours,
        sheltered=nothing.bool(),
        indoors_c=nothing,
        rod=nothing.bool(),
        flow_c=nothing,
        cooling_above_c=nothing + torch.inf,
        cooling_effect=nothing + 1.0,
        margin_k=nothing,
        degree_hour_price=nothing,
    )
