"""Refrigerators."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import NonNegativeFloat, PositiveFloat

from totalflex_env.devices.cabinet import Cabinet
from totalflex_env.devices.family import Day, DeviceSettings
from totalflex_env.devices.thermal import Climate, Thermal


class RefrigeratorConfig(DeviceSettings):
    """Refrigerators in a heated room: about 100 kWh a year, an assumption."""

    family: ClassVar[type[Thermal]] = Thermal
    power_kw: PositiveFloat = 0.07
    resistance_k_per_kw: PositiveFloat = 560.0
    capacitance_kwh_per_k: PositiveFloat = 0.02
    setpoint_c: float = 5.0
    band_k: PositiveFloat = 1.5
    room_c: float = 20.0
    coefficient_of_performance: PositiveFloat = 2.3
    degree_hour_price: NonNegativeFloat = 0.1

    def build(self, houses: int, slot_hours: float) -> Thermal:
        """Return the refrigerators as stores of cold."""
        return self._cabinet.build(self.houses_of(houses), slot_hours)

    def draw(self, rng: np.random.Generator, day: Day) -> Climate:
        """Return what is certain: the room is as warm as always."""
        return self._cabinet.climate(day, self.count)

    def expected(self, day: Day) -> Climate:
        """Return a room that is as warm as always."""
        return self._cabinet.climate(day, self.count)

    def mean_kw(self, outdoors: float, hours: float) -> float:
        """Return the mean power that holds the set-point."""
        return self._cabinet.mean_kw()

    @property
    def _cabinet(self) -> Cabinet:
        return Cabinet(
            power_kw=self.power_kw,
            resistance_k_per_kw=self.resistance_k_per_kw,
            capacitance_kwh_per_k=self.capacitance_kwh_per_k,
            setpoint_c=self.setpoint_c,
            band_k=self.band_k,
            room_c=self.room_c,
            efficiency=self.coefficient_of_performance,
            degree_hour_price=self.degree_hour_price,
        )
