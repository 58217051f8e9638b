"""Office buildings: heating, cooling, and people who come and go."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor

from totalflex_env.devices.circuit import Circuit
from totalflex_env.devices.family import Day, DeviceSettings
from totalflex_env.devices.zone import Rooms, Zone, zone_of
from totalflex_env.dice import Dice

SATURDAY = 5


class OfficeConfig(DeviceSettings):
    """Offices with a reversible heat pump, gains of people and machines, and comfort that matters while they are there.

    Per square metre: heat capacity of a medium building and the coupling of its mass after ISO 13790; comfort is
    category II of EN 16798-1; gains, hours and the band of an empty building are those of SIA 2024 as the City Energy
    Analyst has them. docs/devices.md derives the losses.
    """

    family: ClassVar[type[Zone]] = Zone
    area_m2: PositiveFloat = 1000.0
    power_kw: PositiveFloat = Field(30.0, description="electric power of heating and cooling")
    air_wh_per_k_m2: PositiveFloat = Field(15.0, description="heat capacity of air and furniture")
    mass_wh_per_k_m2: PositiveFloat = Field(46.0, description="heat capacity of the building, 165 kJ/K m2")
    coupling_w_per_k_m2: PositiveFloat = Field(22.75, description="between air and mass, 9.1 W/K m2 times 2.5 m2/m2")
    wall_w_per_k_m2: PositiveFloat = Field(0.2, description="loss of walls")
    leak_w_per_k_m2: PositiveFloat = Field(0.4, description="loss of windows and ventilation")
    window_share: NonNegativeFloat = Field(0.05, description="window area times transmittance over floor area")
    gain_w_per_m2: NonNegativeFloat = Field(12.0, description="heat of people and machines when all are there")
    present_hours: tuple[float, float] = Field((8.0, 17.0), description="local hours of work on weekdays")
    presence: tuple[float, float] = Field((0.6, 1.0), description="share of people who come, lowest and highest day")
    occupied_c: tuple[float, float] = Field((20.0, 26.0), description="comfort band while people are there")
    empty_c: tuple[float, float] = Field((12.0, 28.0), description="band while nobody is there")
    setpoints_c: tuple[float, float] = Field((22.0, 19.0), description="set-point while people are there, and not")
    flow_c: float = Field(40.0, description="supply temperature that the coefficient of performance refers to")
    cooling_above_c: float = Field(15.0, description="outdoor temperature from which the heat pump cools")
    cooling_effect: PositiveFloat = Field(3.0, description="cold per electric energy")
    degree_hour_price: NonNegativeFloat = Field(5.0, description="EUR per degree-hour outside the band, whole building")
    margin_k: NonNegativeFloat = Field(2.0, description="outdoor temperature error that the limits withstand")

    def build(self, houses: int, slot_hours: float) -> Zone:
        """Return the offices as zones."""
        kilo = self.area_m2 / 1e3
        circuit = Circuit(
            air_kwh_per_k=self.air_wh_per_k_m2 * kilo,
            mass_kwh_per_k=self.mass_wh_per_k_m2 * kilo,
            inner_k_per_kw=1.0 / (self.coupling_w_per_k_m2 * kilo),
            outer_k_per_kw=1.0 / (self.wall_w_per_k_m2 * kilo),
            leak_k_per_kw=1.0 / (self.leak_w_per_k_m2 * kilo),
            heat_share=0.8,
            sun_area_m2=self.window_share * self.area_m2,
            sun_share=0.3,
        )
        zone = zone_of(circuit, self.houses_of(houses), slot_hours)
        zone = zone.reversible(self.cooling_above_c, self.cooling_effect)
        return zone.with_pump(self.power_kw * slot_hours, self.flow_c, self.margin_k, self.degree_hour_price)

    def draw(self, dice: Dice, day: Day) -> Rooms:
        """Draw how many people come, uniformly for every office."""
        least, most = self.presence
        return self._rooms(day, torch.from_numpy(least + (most - least) * dice.uniform(1, self.count)))

    def expected(self, day: Day) -> Rooms:
        """Return offices to which the usual number of people come."""
        usual = torch.full((day.rows, 1, self.count), sum(self.presence) / 2.0, dtype=torch.float64)
        return self._rooms(day, usual)

    def mean_kw(self, outdoors: float, hours: float) -> float:
        """Return the mean power of heating, gains left out."""
        lost = (self.wall_w_per_k_m2 + self.leak_w_per_k_m2) * self.area_m2 / 1e3
        return max(self.setpoints_c[1] - outdoors, 0.0) * lost / 3.0

    def _rooms(self, day: Day, share: Tensor) -> Rooms:
        first, last = self.present_hours
        there = ((day.hour() >= first) & (day.hour() < last)) & (day.day_of_week() < SATURDAY)
        people, series = there[..., None], torch.ones(day.rows, day.slots, self.count, dtype=torch.float64)
        gain = self.gain_w_per_m2 * self.area_m2 / 1e3 * day.slot_hours
        return Rooms(
            outdoors=day.weather.temperature[..., None] * series,
            sun=day.weather.irradiance[..., None] * series,
            gain_kwh=gain * share * people * series,
            lower=torch.where(people, self.occupied_c[0], self.empty_c[0]) * series,
            upper=torch.where(people, self.occupied_c[1], self.empty_c[1]) * series,
            setpoint=torch.where(people, *self.setpoints_c) * series,
            start=torch.full((day.rows, 2, self.count), self.setpoints_c[0], dtype=torch.float64),
        )
