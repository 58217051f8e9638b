"""Washing machines of households."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat

from totalflex_env.devices.appliance import Appliance, Windows
from totalflex_env.devices.family import Day, DeviceSettings
from totalflex_env.devices.wet import Machine


class WashingMachineConfig(DeviceSettings):
    """Washing machines: a warm or a cold programme, loaded in the afternoon and run by the evening.

    Power per quarter-hour is assumed. On how such machines draw power: Stamminger, "Synergy Potential of Smart
    Appliances" (report D2.3 of the project Smart-A, 2009).
    """

    family: ClassVar[type[Appliance]] = Appliance
    programmes_kw: tuple[tuple[PositiveFloat, ...], ...] = Field(
        (
            (0.1, 2.0, 0.9, 0.1, 0.1, 0.3, 0.05),
            (0.1, 0.9, 0.3, 0.1, 0.3, 0.05),
        ),
        min_length=1,
        description="power per slot of each programme, all equally likely",
    )
    ready_hour: tuple[float, float] = Field((13.0, 17.0), description="local hours between which it is loaded")
    latest_end_hour: float = Field(23.0, description="local hour by which the programme has ended")
    chance: float = Field(0.5, gt=0.0, le=1.0, description="share of days with a run")
    delay_price: NonNegativeFloat = Field(0.002, description="EUR per slot that the start is put off")

    def build(self, houses: int, slot_hours: float) -> Appliance:
        """Return the machines."""
        return self._machine.build(self.houses_of(houses), slot_hours)

    def draw(self, rng: np.random.Generator, day: Day) -> Windows:
        """Draw when machines are loaded."""
        return self._machine.draw(rng, day)

    def expected(self, day: Day) -> Windows:
        """Return machines that are loaded in the middle of the hours."""
        return self._machine.expected(day)

    def mean_kw(self, outdoors: float, hours: float) -> float:
        """Return the mean power of one machine."""
        return self._machine.mean_kw(hours)

    def check(self, name: str, hours: tuple[float, float]) -> None:
        """Refuse windows that cannot hold the programmes."""
        self._machine.check(name, hours)

    @property
    def _machine(self) -> Machine:
        return Machine(
            field="washing_machine",
            count=self.count,
            programmes_kw=self.programmes_kw,
            ready_hour=self.ready_hour,
            latest_end_hour=self.latest_end_hour,
            chance=self.chance,
            delay_price=self.delay_price,
        )
