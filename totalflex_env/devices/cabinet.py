"""Cold cabinets in a room: what freezers and refrigerators share."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from totalflex_env.devices.family import Day
from totalflex_env.devices.thermal import Climate, Thermal, first_order


class Cold(Protocol):
    """The numbers of one kind of cabinet."""

    count: int
    power_kw: float
    resistance_k_per_kw: float  # of the walls
    capacitance_kwh_per_k: float  # of what is inside
    setpoint_c: float
    band_k: float  # comfort band is the set-point plus and minus this
    room_c: float
    coefficient_of_performance: float  # cold per electric energy
    degree_hour_price: float  # EUR per degree-hour outside the band

    def houses_of(self, houses: int) -> Tensor:
        """Return the house [count] of every cabinet."""

    def same(self, value: float) -> Tensor:
        """Return `value` for every cabinet [count]."""


class Cabinets:
    """What settings that are `Cold` do with their numbers; a kind of cabinet is this, `DeviceSettings` and fields."""

    def build(self: Cold, houses: int, slot_hours: float) -> Thermal:
        """Return the cabinets as stores of cold."""
        retention, kelvin_per_kwh = first_order(self.resistance_k_per_kw, self.capacitance_kwh_per_k, slot_hours)
        return Thermal(
            house=self.houses_of(houses),
            power_kwh=self.same(self.power_kw * slot_hours),
            retention=self.same(retention),
            kelvin_per_kwh=self.same(kelvin_per_kwh),
            direction=self.same(-1.0),
            setpoint=self.same(self.setpoint_c),
            lower=self.same(self.setpoint_c - self.band_k),
            upper=self.same(self.setpoint_c + self.band_k),
            margin_k=self.same(0.0),
            degree_hour_price=self.same(self.degree_hour_price),
            capacity_kwh_per_k=self.same(self.capacitance_kwh_per_k),
            outdoors=torch.zeros(self.count, dtype=torch.bool),
            flow_c=self.same(0.0),
            room_c=self.same(self.room_c),
            room_cop=self.same(self.coefficient_of_performance),
        )

    def expected(self: Cold, day: Day) -> Climate:
        """Return a room that is as warm as always around cabinets that begin at their set-points."""
        series = torch.ones(day.rows, day.slots, self.count, dtype=torch.float64)
        efficiency = self.coefficient_of_performance * series
        return Climate(self.room_c * series, efficiency, self.setpoint_c * series[:, 0])

    def mean_kw(self: Cold, outdoors: float, hours: float) -> float:
        """Return the mean power that holds the set-point."""
        warmth = max(self.room_c - self.setpoint_c, 0.0) / self.resistance_k_per_kw
        return warmth / self.coefficient_of_performance
