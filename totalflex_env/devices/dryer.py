"""Tumble dryers of households."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, NonNegativeFloat, PositiveFloat

from totalflex_env.devices.appliance import Appliance
from totalflex_env.devices.family import DeviceSettings
from totalflex_env.devices.wet import WetMachines


class DryerConfig(WetMachines, DeviceSettings):
    """Condensing tumble dryers, with and without a heat pump, loaded in the evening.

    Without a heat pump it takes 2.5 kWh, and it runs 122 times a year, as in the library IDEAS (KU Leuven, record
    TumbleDryer of its stochastic occupants): 2.5 kW for an hour. One with a heat pump takes half of that, as its makers
    say (Siemens, onetonnelife.com), spread over two hours.
    """

    family: ClassVar[type[Appliance]] = Appliance
    field: ClassVar[str] = "dryer"
    programmes_kw: tuple[tuple[PositiveFloat, ...], ...] = Field(
        ((2.5, 2.5, 2.5, 2.5), (0.7, 0.7, 0.7, 0.7, 0.6, 0.6, 0.5, 0.5)),
        min_length=1,
        description="power per slot of each programme, all equally likely",
    )
    ready_hour: tuple[float, float] = Field((18.0, 20.0), description="local hours between which it is loaded")
    latest_end_hour: float = Field(30.0, description="local hour by which the programme has ended")
    chance: float = Field(0.33, gt=0.0, le=1.0, description="share of days with a run")
    delay_price: NonNegativeFloat = Field(0.002, description="EUR per slot that the start is put off")
