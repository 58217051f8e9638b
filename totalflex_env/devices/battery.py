"""Stationary batteries."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field, PositiveFloat

from totalflex_env.devices.family import Day, DeviceSettings
from totalflex_env.devices.sessions import Sessions
from totalflex_env.devices.storage import Storage


class BatteryConfig(DeviceSettings):
    """Stationary batteries with losses in both directions: 90 % are left after a round trip.

    That is what the maker of a common one states, at its alternating-current side (Tesla Powerwall 2). The size is
    nearly that of a system in the battery library bslib, 3.6 kW and 8.9 kWh.
    """

    family: ClassVar[type[Storage]] = Storage
    power_kw: PositiveFloat = 4.0
    capacity_kwh: PositiveFloat = 8.0
    charge_efficiency: float = Field(0.95, gt=0.0, le=1.0)
    discharge_efficiency: float = Field(0.95, gt=0.0, le=1.0)
    start_share: float = Field(0.5, ge=0.0, le=1.0, description="stored share of the capacity at the start")

    def build(self, houses: int, slot_hours: float) -> Storage:
        """Return the batteries as storages that never leave."""
        return Storage(
            house=self.houses_of(houses),
            charge_kwh=self.same(self.power_kw * slot_hours),
            discharge_kwh=self.same(self.power_kw * slot_hours),
            capacity_kwh=self.same(self.capacity_kwh),
            charge_efficiency=self.same(self.charge_efficiency),
            discharge_efficiency=self.same(self.discharge_efficiency),
            unmet_price=self.same(0.0),
            session=torch.zeros(self.count, dtype=torch.bool),
            beyond_need=torch.ones(self.count, dtype=torch.bool),
            sure_kwh=self.same(self.power_kw * slot_hours),
            park=torch.full((self.count,), -1),
            connection_kwh=self.same(0.0)[:0],
        )

    def expected(self, day: Day) -> Sessions:
        """Return one session that lasts for the whole episode and asks for nothing."""
        arrival = torch.zeros(day.rows, 1, self.count, dtype=torch.int64)
        nothing = torch.zeros(arrival.shape, dtype=torch.float64)
        return Sessions(arrival, arrival + day.slots, nothing, nothing + self.start_share * self.capacity_kwh)

    def mean_kw(self, outdoors: float, hours: float) -> float:
        """Return nothing: what a battery takes it gives back."""
        return 0.0
