"""Dishwashers of households."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, NonNegativeFloat, PositiveFloat

from totalflex_env.devices.appliance import Appliance
from totalflex_env.devices.family import DeviceSettings
from totalflex_env.devices.wet import WetMachines


class DishwasherConfig(WetMachines, DeviceSettings):
    """Dishwashers: a fixed programme, loaded in the evening and run by the morning.

    0.90 kWh is the mean of eco programmes (Tewes, Harcq and Bockmühl, "Use of Automatic Dishwashers and Their Programs
    in Europe", Clean Technologies 5(3), 2023). That water is heated twice, for washing and rinsing, in five
    quarter-hours is an assumption, as is a run every day.
    """

    family: ClassVar[type[Appliance]] = Appliance
    field: ClassVar[str] = "dishwasher"
    programmes_kw: tuple[tuple[PositiveFloat, ...], ...] = Field(
        ((1.8, 0.1, 0.1, 1.5, 0.1),), min_length=1, description="power per slot of each programme, all equally likely"
    )
    ready_hour: tuple[float, float] = Field((18.0, 21.0), description="local hours between which it is loaded")
    latest_end_hour: float = Field(31.0, description="local hour by which the programme has ended")
    chance: float = Field(1.0, gt=0.0, le=1.0, description="share of days with a run")
    delay_price: NonNegativeFloat = Field(0.002, description="EUR per slot that the start is put off")
