"""Refrigerators."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, NonNegativeFloat, PositiveFloat

from totalflex_env.devices.cabinet import Cabinets
from totalflex_env.devices.family import DeviceSettings
from totalflex_env.devices.thermal import Thermal


class RefrigeratorConfig(Cabinets, DeviceSettings):
    """Refrigerators in a heated room: 200 litres that take 122 kWh a year at 25 °C, 92 at 20 °C.

    That is 42 % of the standard consumption of Directive 94/2/EC, 0.233 * 200 + 245 kWh at a set-point of 5 °C, the
    upper end of label class A+. The compressor runs a third of the time, as that of the library IDEAS does.
    """

    family: ClassVar[type[Thermal]] = Thermal
    power_kw: PositiveFloat = Field(0.042, description="electric power of the compressor")
    resistance_k_per_kw: PositiveFloat = Field(620.0, description="20 K over 122 kWh / 8766 h times the performance")
    capacitance_kwh_per_k: PositiveFloat = Field(0.02, description="17 kg of food and drink: 1 K warmer in 36 minutes")
    setpoint_c: float = 5.0
    band_k: PositiveFloat = Field(1.5, description="comfort band is the set-point plus and minus this")
    room_c: float = 20.0
    coefficient_of_performance: PositiveFloat = Field(2.3, description="cold per electric energy")
    degree_hour_price: NonNegativeFloat = Field(0.1, description="EUR per degree-hour outside the band")
