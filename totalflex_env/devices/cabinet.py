"""Cold cabinets in a room: what freezers and refrigerators share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.devices.family import Day
from totalflex_env.devices.thermal import Climate, Thermal, first_order


@dataclass(frozen=True)
class Cabinet:
    """The numbers of one kind of cabinet."""

    power_kw: float
    resistance_k_per_kw: float
    capacitance_kwh_per_k: float
    setpoint_c: float
    band_k: float  # comfort band is the set-point plus and minus this
    room_c: float
    efficiency: float  # cold per electric energy
    degree_hour_price: float

    def build(self, house: Tensor, slot_hours: float) -> Thermal:
        """Return the cabinets of `house` [count] as stores of cold."""
        retention, kelvin_per_kwh = first_order(self.resistance_k_per_kw, self.capacitance_kwh_per_k, slot_hours)
        like = torch.zeros(len(house), dtype=torch.float64)
        return Thermal(
            house=house,
            power_kwh=like + self.power_kw * slot_hours,
            retention=like + retention,
            kelvin_per_kwh=like + kelvin_per_kwh,
            direction=like - 1.0,
            setpoint=like + self.setpoint_c,
            lower=like + (self.setpoint_c - self.band_k),
            upper=like + (self.setpoint_c + self.band_k),
            margin_k=like,
            degree_hour_price=like + self.degree_hour_price,
            capacity_kwh_per_k=like + self.capacitance_kwh_per_k,
            outdoors=like.bool(),
            flow_c=like,
            room_c=like + self.room_c,
            room_cop=like + self.efficiency,
        )

    def climate(self, day: Day, count: int) -> Climate:
        """Return a room that is as warm as always around `count` cabinets that begin at their set-points."""
        series = torch.ones(day.rows, day.slots, count, dtype=torch.float64)
        return Climate(self.room_c * series, self.efficiency * series, self.setpoint_c * series[:, 0])

    def mean_kw(self) -> float:
        """Return the mean power that holds the set-point."""
        return max(self.room_c - self.setpoint_c, 0.0) / self.resistance_k_per_kw / self.efficiency
