"""Heat pumps in houses that are one heat capacity each."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat

from totalflex_env.devices.family import Day, DeviceSettings
from totalflex_env.devices.thermal import Climate, Thermal, coefficient_of_performance, first_order


class HeatPumpConfig(DeviceSettings):
    """Air-source heat pumps, each heating one house (first-order thermal model)."""

    family: ClassVar[type[Thermal]] = Thermal
    power_kw: tuple[PositiveFloat, PositiveFloat] = Field((3.0, 5.0), description="smallest and largest electric power")
    resistance_k_per_kw: PositiveFloat = Field(
        4.5, description="of the house's envelope: 140 m2, 119 kWh/m2 a year at 2,700 degree days (Assens Fjernvarme)"
    )
    capacitance_kwh_per_k: PositiveFloat = Field(
        8.0, description="of the house: 206 kJ/K m2, between a medium (165) and a heavy (260) building of ISO 13790"
    )
    setpoint_c: float = 21.0
    band_k: PositiveFloat = Field(1.0, description="comfort band is the set-point plus and minus this")
    flow_c: float = Field(40.0, description="supply temperature that the coefficient of performance refers to")
    degree_hour_price: NonNegativeFloat = Field(0.5, description="EUR per degree-hour outside the band")
    margin_k: NonNegativeFloat = Field(2.0, description="outdoor temperature error that the limits withstand")

    def build(self, houses: int, slot_hours: float) -> Thermal:
        """Return the houses as stores of heat, powers spread evenly over their range."""
        retention, kelvin_per_kwh = first_order(self.resistance_k_per_kw, self.capacitance_kwh_per_k, slot_hours)
        powers = torch.linspace(*self.power_kw, max(self.count, 1), dtype=torch.float64)[: self.count]
        return Thermal(
            house=self.houses_of(houses),
            power_kwh=powers * slot_hours,
            retention=self.same(retention),
            kelvin_per_kwh=self.same(kelvin_per_kwh),
            direction=self.same(1.0),
            setpoint=self.same(self.setpoint_c),
            lower=self.same(self.setpoint_c - self.band_k),
            upper=self.same(self.setpoint_c + self.band_k),
            margin_k=self.same(self.margin_k),
            degree_hour_price=self.same(self.degree_hour_price),
            capacity_kwh_per_k=self.same(self.capacitance_kwh_per_k),
            outdoors=torch.ones(self.count, dtype=torch.bool),
            flow_c=self.same(self.flow_c),
            room_c=self.same(self.setpoint_c),
            room_cop=self.same(1.0),
        )

    def expected(self, day: Day) -> Climate:
        """Return what follows from the weather."""
        outdoors = day.weather.temperature[..., None].expand(-1, -1, self.count)
        efficiency = coefficient_of_performance(outdoors, self.same(self.flow_c))
        return Climate(outdoors.clone(), efficiency, self.same(self.setpoint_c).repeat(day.rows, 1))

    def mean_kw(self, outdoors: float, hours: float) -> float:
        """Return the mean power that holds the set-point."""
        efficiency = coefficient_of_performance(torch.tensor(outdoors), torch.tensor(self.flow_c))
        return max(self.setpoint_c - outdoors, 0.0) / self.resistance_k_per_kw / float(efficiency)
