"""Photovoltaics behind the meter, which may be curtailed and take part in keeping the voltage."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from totalflex_env.devices.bidding import Bid, View
from totalflex_env.devices.family import Day, DeviceSettings, Discomfort, Family, Range, Rest, Weather
from totalflex_env.devices.offering import fixed
from totalflex_env.linear_types import LinearBlock, energy_map, flat, matrix, places
from totalflex_env.trade_types import FlexOfferBatch
from totalflex_env.units import SLOT_HOURS

FULL_FACTOR_SHARE = 0.5
"""Share of the rating up to which the characteristic of VDE-AR-N 4105 leaves the power factor at one."""


@dataclass(frozen=True)
class Sunshine:
    """What the modules could produce."""

    available_kwh: Tensor  # [B, T, n] >= 0


@dataclass(frozen=True)
class Nothing:
    """The state of a device that remembers nothing."""


@dataclass(frozen=True)
class Pv(Family[Sunshine, Nothing, None]):
    """Plants that produce what the sun allows or less."""

    rating_kwh: Tensor  # [n] most energy per slot through the inverter
    yield_kwh: Tensor  # [n] energy per slot at an irradiance of 1 kW/m2
    full_tangent: Tensor  # [n] kvarh drawn per kWh at full output, zero for a power factor of one
    by_output: Tensor  # [n] bool, reactive power grows with the output, else it is a fixed share of it

    def range_kwh(self) -> tuple[Tensor, Tensor]:
        """Return full output and nothing [n] kWh."""
        return -self.rating_kwh, torch.zeros_like(self.rating_kwh)

    def sunshine(self, irradiance: Tensor) -> Sunshine:
        """Return what irradiances [B, T] kW/m2 make available."""
        return Sunshine(torch.minimum(irradiance.unsqueeze(-1) * self.yield_kwh, self.rating_kwh))

    def present(self, actual: Sunshine, expected: Sunshine, slot: int, slots: int) -> Sunshine:
        """Return the sunshine of `slot`: an inverter follows it as it is."""
        return Sunshine(actual.available_kwh[:, slot : slot + 1])

    def known(self, actual: Sunshine, expected: Sunshine, weather: Weather, slot: int) -> Sunshine:
        """Return what follows from the weather forecast."""
        return self.sunshine(weather.irradiance)

    def without(self, habits: Sunshine, there: Tensor) -> Sunshine:
        """Return no sunshine where no plant is there."""
        return Sunshine(torch.where(there[:, None], habits.available_kwh, 0.0))

    def start(self, habits: Sunshine) -> Nothing:
        """Return nothing to remember."""
        return Nothing()

    def limits(self, state: Nothing, habits: Sunshine, guard: None, slot: int) -> Range:
        """Return the range from all that the sun allows, which is the default, to nothing."""
        most = -habits.available_kwh[:, slot]
        return Range(most, torch.zeros_like(most), most)

    def advance(self, state: Nothing, energy: Tensor, habits: Sunshine, slot: int) -> Nothing:
        """Return nothing to remember."""
        return state

    def discomfort(self, after: Nothing, habits: Sunshine, slot: int, slot_hours: float) -> Discomfort:
        """Return that nobody suffers."""
        return Discomfort(cost=torch.zeros_like(habits.available_kwh[:, slot]))

    def reactive(self, energy: Tensor, habits: Sunshine, slot: int) -> Tensor | None:
        """Return the reactive energy [B, n] kvarh drawn against a high voltage.

        By output, the power factor falls from one at half the rating to its least at the full rating, in a straight
        line (the cos phi (P) characteristic of VDE-AR-N 4105); else it is fixed.
        """
        output = -energy / self.rating_kwh
        rising = ((output - FULL_FACTOR_SHARE) / (1.0 - FULL_FACTOR_SHARE)).clamp(0.0, 1.0)
        least = torch.cos(torch.atan(self.full_tangent))
        factor = 1.0 - torch.where(self.by_output, rising, 1.0) * (1.0 - least)
        return -energy * torch.tan(torch.acos(factor))

    def offer(self, rest: Rest[Sunshine, Nothing, None]) -> FlexOfferBatch:
        """Offer to produce what the forecast sun allows or anything less."""
        most = -rest.habits.available_kwh[0, rest.slot :].T
        slices = torch.full_like(self.house, most.shape[1])
        nothing = torch.zeros_like(most)
        return replace(fixed(rest.slot, self.house, slices, most), upper=nothing, total_upper=nothing[:, 0])

    def linear(self, rest: Rest[Sunshine, Nothing, None]) -> LinearBlock:
        """Return the plants as a linear program. Variables: energy [n, T] <= 0."""
        most = rest.habits.available_kwh[0].T * (torch.arange(rest.slots) >= rest.slot)
        (energy,), nothing = places(tuple(most.shape)), torch.zeros(most.shape)
        no_row = torch.zeros(0, dtype=torch.int64)
        return LinearBlock(
            cost=flat(nothing),
            lower=flat(-most),
            upper=flat(nothing),
            integer=torch.zeros(energy.numel(), dtype=torch.bool),
            rows=matrix((no_row, no_row, 1.0)),
            row_lower=flat(nothing[:0]),
            row_upper=flat(nothing[:0]),
            energy=energy_map((torch.arange(rest.slots), torch.arange(len(most))[:, None], energy, 1.0)),
        )

    def bid(self, view: View[Sunshine, Nothing]) -> Bid:
        """Return bids that produce as long as that earns anything."""
        worth = torch.zeros_like(view.lower)
        return Bid(torch.where(view.now[:, None] > 0.0, view.lower, view.upper), worth, worth)


class PvConfig(DeviceSettings):
    """Photovoltaics on roofs that may be curtailed, besides what the profiles of the grid produce."""

    family: ClassVar[type[Pv]] = Pv
    peak_kw: PositiveFloat = Field(6.0, description="power of the modules under standard test conditions")
    inverter_kw: PositiveFloat = Field(6.0, description="rating of the inverter")
    performance: float = Field(0.86, gt=0.0, le=1.0, description="what losses leave; 14 % is the default of PVGIS")
    tilt_gain: PositiveFloat = Field(1.1, description="irradiance on the modules over that on the horizontal, mean")
    power_factor: float = Field(1.0, gt=0.7, le=1.0, description="least power factor, drawing reactive power")
    power_factor_by_output: bool = Field(True, description="cos phi (P) of VDE-AR-N 4105; False: fixed")

    def build(self, houses: int, slot_hours: float) -> Pv:
        """Return the plants."""
        return Pv(
            house=self.houses_of(houses),
            rating_kwh=self.same(self.inverter_kw * slot_hours),
            yield_kwh=self.same(self._yield_kw * slot_hours),
            full_tangent=self.same(math.tan(math.acos(self.power_factor))),
            by_output=torch.full((self.count,), self.power_factor_by_output),
        )

    def expected(self, day: Day) -> Sunshine:
        """Return what follows from the weather."""
        power = (day.weather.irradiance * self._yield_kw).clamp(max=self.inverter_kw)
        return Sunshine((power * SLOT_HOURS)[..., None].repeat(1, 1, self.count))

    def mean_kw(self, outdoors: float, hours: float) -> float:
        """Return nothing: what is produced is not consumed."""
        return 0.0

    @property
    def _yield_kw(self) -> float:
        return self.peak_kw * self.performance * self.tilt_gain
