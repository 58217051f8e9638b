"""Thermal devices: heat pumps in houses, freezers and refrigerators, each one heat capacity behind one resistance.

    T' = a T + (1 - a) T_ambient + direction * kelvin_per_kwh * cop * energy          a = exp(-dt / RC)

To treat heating and cooling alike, bounds are kept for the level direction * T: energy always raises the level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.devices import thermal_bid, thermal_offer, thermal_program
from totalflex_env.devices.bidding import Bid, View
from totalflex_env.devices.family import Discomfort, Family, Range, Rest, Weather
from totalflex_env.linear_types import LinearBlock
from totalflex_env.trade_types import FlexOfferBatch

COP_LOSS_PER_KELVIN = 0.04
"""when2heat's air-source coefficient of performance falls by less than this share per kelvin of cold."""

FIELD_FACTOR = 0.85
"""Correction of laboratory coefficients of performance for use in the field, as in when2heat."""


@dataclass(frozen=True)
class Climate:
    """What surrounds thermal devices."""

    ambient: Tensor  # [B, T, n] temperature around each device
    cop: Tensor  # [B, T, n] heat or cold per electric energy
    start: Tensor  # [B, n] temperature at the beginning


@dataclass(frozen=True)
class Warmth:
    """How warm or cold it is at the start of a slot."""

    temperature: Tensor  # [B, n]


@dataclass(frozen=True)
class Envelope:
    """Levels from which comfort can be kept to the end of the episode, robustly."""

    floor: Tensor  # [B, T + 1, n]
    ceiling: Tensor  # [B, T + 1, n]


def coefficient_of_performance(temperature: Tensor, flow_c: Tensor) -> Tensor:
    """Return the heat per electric energy of an air-source heat pump at outdoor and supply temperatures, any shape.

    when2heat (Ruhnau et al. 2019): 6.08 - 0.0941 dT + 0.000464 dT2, dT the lift to the supply temperature; 1.1 at its
    lowest.
    """
    lift = flow_c - temperature
    return FIELD_FACTOR * (6.08 - 0.0941 * lift + 0.000464 * lift * lift)


def first_order(resistance_k_per_kw: float, capacitance_kwh_per_k: float, slot_hours: float) -> tuple[float, float]:
    """Return what is left of a temperature difference after a slot, and the kelvin that a kWh of heat in it brings."""
    retention = math.exp(-slot_hours / (resistance_k_per_kw * capacitance_kwh_per_k))
    return retention, (1.0 - retention) * resistance_k_per_kw / slot_hours


@dataclass(frozen=True)
class Thermal(Family[Climate, Warmth, Envelope]):
    """First-order stores of heat (direction +1) or cold (direction -1)."""

    power_kwh: Tensor  # [n] most electric energy per slot
    retention: Tensor  # [n] share of a temperature difference that is left after one slot, exp(-dt / RC)
    kelvin_per_kwh: Tensor  # [n] temperature change by one kWh of heat within a slot
    direction: Tensor  # [n] +1 heats, -1 cools
    setpoint: Tensor  # [n] degrees
    lower: Tensor  # [n] degrees, comfort band
    upper: Tensor  # [n] degrees, comfort band
    margin_k: Tensor  # [n] error of the ambient temperature that the limits withstand
    degree_hour_price: Tensor  # [n] EUR per degree-hour outside the band
    capacity_kwh_per_k: Tensor  # [n] heat that one kelvin stores
    outdoors: Tensor  # [n] bool, stands against the weather; else in a room
    flow_c: Tensor  # [n] supply temperature of what stands against the weather
    room_c: Tensor  # [n] temperature of the room
    room_cop: Tensor  # [n] cold per electric energy in the room

    def range_kwh(self) -> tuple[Tensor, Tensor]:
        """Return nothing and full power [n] kWh."""
        return torch.zeros_like(self.power_kwh), self.power_kwh

    def climate(self, temperature: Tensor) -> Climate:
        """Return what surrounds the devices when it is this warm outdoors [B, T]; they begin at their set-points."""
        outdoors = temperature.unsqueeze(-1)
        return Climate(
            ambient=torch.where(self.outdoors, outdoors, self.room_c),
            cop=torch.where(self.outdoors, coefficient_of_performance(outdoors, self.flow_c), self.room_cop),
            start=self.setpoint.expand(len(temperature), -1).clone(),
        )

    def present(self, actual: Climate, expected: Climate, slot: int, slots: int) -> Climate:
        """Return the surroundings of `slot`, which are known, as series of length one."""
        now = slice(slot, slot + 1)
        return Climate(actual.ambient[:, now], actual.cop[:, now], actual.start)

    def known(self, actual: Climate, expected: Climate, weather: Weather, slot: int) -> Climate:
        """Return the surroundings that follow from the weather forecast; where a device began is as expected."""
        climate = self.climate(weather.temperature)
        return Climate(climate.ambient, climate.cop, expected.start)

    def without(self, habits: Climate, there: Tensor) -> Climate:
        """Return surroundings that keep the stores of devices that are not there full by themselves."""
        full = self.direction * self.level_band()[1]
        return Climate(
            ambient=torch.where(there[:, None], habits.ambient, full),
            cop=habits.cop,
            start=torch.where(there, habits.start, full),
        )

    def guard(self, expected: Climate) -> Envelope:
        """Return floor and ceiling of the level from which comfort can be kept to the end of the episode.

        Backward recursion over the forecast: full power must hold the floor at the coldest weather within the margin,
        no power the ceiling at the warmest. A device too weak for its band gets the ceiling as its floor: full power.
        """
        low, high = self.level_band()
        outside = self.direction * expected.ambient
        lift = self.kelvin_per_kwh * expected.cop * (1.0 - COP_LOSS_PER_KELVIN * self.margin_k) * self.power_kwh
        coldest = (1.0 - self.retention) * (outside - self.margin_k) + lift
        warmest = (1.0 - self.retention) * (outside + self.margin_k)
        floor, ceiling = [low.expand_as(outside[:, 0])], [high.expand_as(outside[:, 0])]
        for slot in reversed(range(outside.shape[1])):
            ceiling.append(torch.minimum(high, (ceiling[-1] - warmest[:, slot]) / self.retention))
            needed = torch.maximum(low, (floor[-1] - coldest[:, slot]) / self.retention)
            floor.append(torch.minimum(needed, ceiling[-1]))
        return Envelope(torch.stack(floor[::-1], dim=1), torch.stack(ceiling[::-1], dim=1))

    def level_band(self) -> tuple[Tensor, Tensor]:
        """Return the levels [n] at which a device's store is empty and full: the ends of its comfort band."""
        heating = self.direction > 0.0
        return torch.where(heating, self.lower, -self.upper), torch.where(heating, self.upper, -self.lower)

    def idle_level(self, level: Tensor, ambient: Tensor) -> Tensor:
        """Return the level [..., n] after a slot without energy that began at `level` [..., n]."""
        return self.retention * level + (1.0 - self.retention) * self.direction * ambient

    def energy_to(self, level: Tensor, idle: Tensor, cop: Tensor) -> Tensor:
        """Return the energy [B, n] within the power that ends a slot near `level`, where none ends it at `idle`."""
        return torch.minimum(((level - idle) / (self.kelvin_per_kwh * cop)).clamp(min=0.0), self.power_kwh)

    def start(self, habits: Climate) -> Warmth:
        """Return the temperatures at the beginning."""
        return Warmth(habits.start)

    def limits(self, state: Warmth, habits: Climate, guard: Envelope, slot: int) -> Range:
        """Return the range that ends the slot within the envelope, as far as possible; a thermostat is the default."""
        idle, cop = self.idle_level(self.direction * state.temperature, habits.ambient[:, slot]), habits.cop[:, slot]
        lower = self.energy_to(guard.floor[:, slot + 1], idle, cop)
        upper = torch.maximum(lower, self.energy_to(guard.ceiling[:, slot + 1], idle, cop))
        thermostat = self.energy_to(self.direction * self.setpoint, idle, cop)
        return Range(lower, upper, torch.minimum(torch.maximum(thermostat, lower), upper))

    def advance(self, state: Warmth, energy: Tensor, habits: Climate, slot: int) -> Warmth:
        """Return the temperatures after a slot in which `energy` [B, n] kWh was used."""
        drift = self.retention * state.temperature + (1.0 - self.retention) * habits.ambient[:, slot]
        return Warmth(drift + self.direction * self.kelvin_per_kwh * habits.cop[:, slot] * energy)

    def discomfort(self, after: Warmth, habits: Climate, slot: int, slot_hours: float) -> Discomfort:
        """Return the degree-hours outside the comfort band."""
        warm = after.temperature
        outside = ((self.lower - warm).clamp(min=0.0) + (warm - self.upper).clamp(min=0.0)) * slot_hours
        return Discomfort(cost=outside * self.degree_hour_price, degree_hours=outside)

    def shortfall(self, end: Warmth, habits: Climate) -> Tensor | None:
        """Return the energy [B, n] kWh that brings houses and freezers back to where they began."""
        missing = self.direction * (habits.start - end.temperature)
        return missing.clamp(min=0.0) * self.capacity_kwh_per_k / habits.cop.mean(dim=1)

    def offer(self, rest: Rest[Climate, Warmth, Envelope]) -> FlexOfferBatch:
        """Offer any power as long as the energy drawn since now stays near that of the default."""
        default, states = self.left_alone(rest)
        level = self.direction * torch.cat([state.temperature for state in states])
        floor, ceiling = (bound[0, rest.slot + 1 :] for bound in (rest.guard.floor, rest.guard.ceiling))
        return thermal_offer.offer(
            rest.slot,
            thermal_offer.Store(
                house=self.house,
                power_kwh=self.power_kwh,
                retention=self.retention,
                lift=self.kelvin_per_kwh * rest.habits.cop[0, rest.slot :],
                default=default,
                slack=torch.minimum(level - floor, ceiling - level).clamp(min=0.0).T,
            ),
        )

    def linear(self, rest: Rest[Climate, Warmth, Envelope]) -> LinearBlock:
        """Return the devices as a linear program; see `thermal_program`."""
        habits, ambient, cop = rest.habits, rest.habits.ambient[0], rest.habits.cop[0]
        begin = (1.0 - self.retention) * self.direction * ambient
        begin[rest.slot] += self.retention * self.direction * rest.state.temperature[0]
        return thermal_program.linear(
            thermal_program.Task(
                slot=rest.slot,
                slot_hours=rest.slot_hours,
                power_kwh=self.power_kwh,
                retention=self.retention,
                lift=(self.kelvin_per_kwh * cop).T,
                begin=begin.T,
                band=self.level_band(),
                levels=self._reachable(rest),
                start=self.direction * habits.start[0],
                degree_hour_price=self.degree_hour_price,
                refill=rest.spot.mean().clamp(min=0.0) * self.capacity_kwh_per_k / cop.mean(dim=0),
            )
        )

    def _reachable(self, rest: Rest[Climate, Warmth, Envelope]) -> tuple[Tensor, Tensor]:
        """Return lowest and highest level [n, T] that `limits` can lead to: floor and ceiling, if within reach."""
        low = high = self.direction * rest.state.temperature[0]
        lift, least, most = self.kelvin_per_kwh * self.power_kwh, [], []
        for slot in range(rest.slots):
            if slot >= rest.slot:
                ambient, cop = rest.habits.ambient[0, slot], rest.habits.cop[0, slot]
                strongest = self.idle_level(low, ambient) + lift * cop
                low = torch.minimum(rest.guard.floor[0, slot + 1], strongest)
                high = torch.maximum(rest.guard.ceiling[0, slot + 1], self.idle_level(high, ambient))
            least.append(low)
            most.append(high)
        return torch.stack(least, dim=1), torch.stack(most, dim=1)

    def holding(self, expected: Climate) -> Tensor | None:
        """Return the energy [B, T] kWh that keeps every device at its set-point, as far as power allows."""
        loss = (1.0 - self.retention) * self.direction * (self.setpoint - expected.ambient)
        needed = (loss / (self.kelvin_per_kwh * expected.cop)).clamp(min=0.0)
        return torch.minimum(needed, self.power_kwh).sum(dim=2)

    def value(self, expected: Climate, spot: Tensor) -> Tensor | None:
        """Return the marginal value [B, T + 1, n, LEVELS] EUR/K of a device's level in its band."""
        return thermal_bid.values(
            thermal_bid.Store(
                retention=self.retention,
                band=self.level_band(),
                drift=(1.0 - self.retention) * self.direction * expected.ambient,
                lift=self.kelvin_per_kwh * expected.cop,
                power_kwh=self.power_kwh,
                began=self.direction * expected.start,
                refill_kwh_per_k=self.capacity_kwh_per_k / expected.cop.mean(dim=1),
            ),
            spot,
        )

    def bid(self, view: View[Climate, Warmth]) -> Bid:
        """Return bids that buy heat until the value of one more kelvin has fallen to its price."""
        idle = self.idle_level(self.direction * view.state.temperature, view.present.ambient[:, 0])
        return thermal_bid.bid(idle, self.kelvin_per_kwh * view.present.cop[:, 0], self.level_band(), view)

    def fill(self, view: View[Climate, Warmth]) -> Tensor:
        """Return how full each store is [B, n]: 0 at the lower, 1 at the upper end of its comfort band."""
        share = (view.state.temperature - self.lower) / (self.upper - self.lower)
        return torch.where(self.direction > 0.0, share, 1.0 - share)
