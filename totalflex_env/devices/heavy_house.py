"""Heat pumps in houses with a heavy envelope: floor heating, two heat capacities."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat

from totalflex_env.devices.circuit import Circuit
from totalflex_env.devices.family import Day, DeviceSettings
from totalflex_env.devices.thermal import coefficient_of_performance
from totalflex_env.devices.zone import Rooms, Zone, zone_of


class HeavyHouseConfig(DeviceSettings):
    """Air-source heat pumps with floor heating in houses of two heat capacities (2R2C) with sun and people.

    Models of this kind: Bacher and Madsen, "Identifying suitable models for the heat dynamics of buildings", Energy and
    Buildings 43 (2011). The house has 150 m2, the mass of a heavy building of ISO 13790, the air and sun of Bacher and
    Madsen's building, and the losses of the houses with `heat_pump`; docs/devices.md derives them.
    """

    family: ClassVar[type[Zone]] = Zone
    power_kw: PositiveFloat = Field(3.0, description="electric power of the heat pump")
    air_kwh_per_k: PositiveFloat = Field(1.0, description="heat capacity of air, furniture and heaters")
    mass_kwh_per_k: PositiveFloat = Field(10.8, description="heat capacity of floors and walls, 260 kJ/K m2")
    inner_k_per_kw: PositiveFloat = Field(0.24, description="resistance between air and mass, 9.1 W/K m2 times 3 m2/m2")
    outer_k_per_kw: PositiveFloat = Field(5.6, description="resistance between mass and outside")
    leak_k_per_kw: PositiveFloat = Field(16.0, description="resistance of windows and ventilation")
    heat_share: float = Field(
        0.4, gt=0.0, le=1.0, description="of the heating that reaches the air, the rest the floor"
    )
    sun_area_m2: NonNegativeFloat = Field(5.75, description="window area times transmittance, for horizontal sunshine")
    gain_kw: NonNegativeFloat = Field(0.4, description="mean heat of people and appliances")
    setpoint_c: float = 21.0
    band_k: PositiveFloat = Field(1.0, description="comfort band is the set-point plus and minus this")
    flow_c: float = Field(35.0, description="supply temperature that the coefficient of performance refers to")
    degree_hour_price: NonNegativeFloat = Field(0.5, description="EUR per degree-hour outside the band")
    margin_k: NonNegativeFloat = Field(2.0, description="outdoor temperature error that the limits withstand")

    def build(self, houses: int, slot_hours: float) -> Zone:
        """Return the houses as zones."""
        circuit = Circuit(
            air_kwh_per_k=self.air_kwh_per_k,
            mass_kwh_per_k=self.mass_kwh_per_k,
            inner_k_per_kw=self.inner_k_per_kw,
            outer_k_per_kw=self.outer_k_per_kw,
            leak_k_per_kw=self.leak_k_per_kw,
            heat_share=self.heat_share,
            sun_area_m2=self.sun_area_m2,
            sun_share=0.5,
        )
        zone = zone_of(circuit, self.houses_of(houses), slot_hours)
        return zone.with_pump(self.power_kw * slot_hours, self.flow_c, self.margin_k, self.degree_hour_price)

    def expected(self, day: Day) -> Rooms:
        """Return the weather and steady gains; a day begins with the mass as warm as the air."""
        series = torch.ones(day.rows, day.slots, self.count, dtype=torch.float64)
        return Rooms(
            outdoors=day.weather.temperature[..., None] * series,
            sun=day.weather.irradiance[..., None] * series,
            gain_kwh=self.gain_kw * day.slot_hours * series,
            lower=(self.setpoint_c - self.band_k) * series,
            upper=(self.setpoint_c + self.band_k) * series,
            setpoint=self.setpoint_c * series,
            start=torch.full((day.rows, 2, self.count), self.setpoint_c, dtype=torch.float64),
        )

    def mean_kw(self, outdoors: float, hours: float) -> float:
        """Return the mean power that holds the set-point without sun."""
        lost = (self.setpoint_c - outdoors) * (
            1.0 / self.leak_k_per_kw + 1.0 / (self.outer_k_per_kw + self.inner_k_per_kw)
        )
        efficiency = coefficient_of_performance(torch.tensor(outdoors), torch.tensor(self.flow_c))
        return max(lost - self.gain_kw, 0.0) / float(efficiency)
