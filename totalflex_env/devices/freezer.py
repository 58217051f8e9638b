"""Freezers."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, NonNegativeFloat, PositiveFloat

from totalflex_env.devices.cabinet import Cabinets
from totalflex_env.devices.family import DeviceSettings
from totalflex_env.devices.thermal import Thermal


class FreezerConfig(Cabinets, DeviceSettings):
    """Chest freezers in a heated room: 200 litres that take 205 kWh a year at 25 °C, 181 at 20 °C.

    That is 42 % of the standard consumption of Directive 94/2/EC, 0.472 * 2.15 * 200 + 286 kWh, the upper end of label
    class A+. The compressor runs a fifth of the time, as that of the chest freezer of the library IDEAS does.
    """

    family: ClassVar[type[Thermal]] = Thermal
    power_kw: PositiveFloat = Field(0.12, description="electric power of the compressor")
    resistance_k_per_kw: PositiveFloat = Field(1150.0, description="43 K over 205 kWh / 8766 h times the performance")
    capacitance_kwh_per_k: PositiveFloat = Field(0.03, description="50 kg of frozen food at 2.1 kJ/kg K")
    setpoint_c: float = Field(-18.0, description="target temperature of a freezer in Regulation (EU) 2019/2016")
    band_k: PositiveFloat = Field(2.0, description="comfort band is the set-point plus and minus this")
    room_c: float = 20.0
    coefficient_of_performance: PositiveFloat = Field(1.6, description="cold per electric energy")
    degree_hour_price: NonNegativeFloat = Field(0.1, description="EUR per degree-hour outside the band")
