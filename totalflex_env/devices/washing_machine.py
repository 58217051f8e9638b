"""Washing machines of households."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, NonNegativeFloat, PositiveFloat

from totalflex_env.devices.appliance import Appliance
from totalflex_env.devices.family import DeviceSettings
from totalflex_env.devices.wet import WetMachines


class WashingMachineConfig(WetMachines, DeviceSettings):
    """Washing machines: a warm or an eco programme, loaded in the afternoon and run by the evening.

    The warm programme takes 0.93 kWh and a machine runs 196 times a year, as in the library IDEAS (KU Leuven, record
    WashingMachine of its stochastic occupants); the eco programme takes 0.47 kWh, the median of the 8 kg models in the
    EU register EPREL (November 2026). How the power is spread over the quarter-hours is an assumption.
    """

    family: ClassVar[type[Appliance]] = Appliance
    field: ClassVar[str] = "washing_machine"
    programmes_kw: tuple[tuple[PositiveFloat, ...], ...] = Field(
        ((0.1, 2.0, 1.0, 0.15, 0.1, 0.3, 0.08), (0.1, 0.9, 0.4, 0.1, 0.3, 0.08)),
        min_length=1,
        description="power per slot of each programme, all equally likely",
    )
    ready_hour: tuple[float, float] = Field((13.0, 17.0), description="local hours between which it is loaded")
    latest_end_hour: float = Field(23.0, description="local hour by which the programme has ended")
    chance: float = Field(0.54, gt=0.0, le=1.0, description="share of days with a run")
    delay_price: NonNegativeFloat = Field(0.002, description="EUR per slot that the start is put off")
