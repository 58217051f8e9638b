"""Electric vehicles at home: a session every evening."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator
from torch import Tensor

from totalflex_env.devices import ev_habits
from totalflex_env.devices.family import Day, DeviceSettings
from totalflex_env.devices.sessions import Sessions
from totalflex_env.devices.storage import Storage
from totalflex_env.dice import Array, Dice
from totalflex_env.errors import ConfigError
from totalflex_env.units import kwh_from_kw


class EvConfig(DeviceSettings):
    """Electric vehicles at home: a session every evening, energy split at will (valve model), given back with V2G."""

    family: ClassVar[type[Storage]] = Storage
    power_kw: PositiveFloat = 11.0
    habits: Literal["commuter", "trondheim"] = Field(
        "commuter", description="sessions drawn from the numbers below, or as measured in Trondheim (ev_habits.py)"
    )
    pool: tuple[tuple[float, float, float], ...] = Field(
        (), description="sessions to draw from instead: local hour of arrival 12..36, hours of stay, kWh"
    )
    arrival_hour: float = Field(17.0, ge=12.0, lt=36.0, description="mean local hour of plugging in")
    arrival_spread_h: NonNegativeFloat = Field(0.8, description="standard deviation of the arrival")
    departure_first_hour: float = Field(30.5, description="earliest local hour of leaving; 30.5 is 06:30 the next day")
    departure_last_hour: float = Field(32.5, description="latest local hour of leaving")
    plugged_share: float = Field(1.0, gt=0.0, le=1.0, description="share of evenings on which it is plugged in")
    need_median_kwh: PositiveFloat = 10.0
    need_log_spread: NonNegativeFloat = Field(0.6, description="standard deviation of the logarithm of the need")
    need_max_kwh: PositiveFloat = 40.0
    unmet_price: NonNegativeFloat = Field(2.0, description="EUR per kWh that is missing at departure")
    v2g_kw: NonNegativeFloat = Field(0.0, description="power that it gives back, 0 for a charger without V2G")
    efficiency: float = Field(1.0, gt=0.0, le=1.0, description="one way, of what is metered at the house")
    usable_kwh: PositiveFloat = Field(48.0, description="of the battery above the reserve that is never given back")
    leaving_kwh: PositiveFloat = Field(40.0, description="stored above the reserve when a vehicle with V2G leaves")

    def build(self, houses: int, slot_hours: float) -> Storage:
        """Return the vehicles as storages; what one without V2G stores counts from its arrival."""
        return Storage(
            house=self.houses_of(houses),
            charge_kwh=self.same(self.power_kw * slot_hours),
            discharge_kwh=self.same(self.v2g_kw * slot_hours),
            capacity_kwh=self.same(self.usable_kwh if self.v2g_kw else self.need_max_kwh),
            charge_efficiency=self.same(self.efficiency),
            discharge_efficiency=self.same(self.efficiency),
            unmet_price=self.same(self.unmet_price),
            session=torch.ones(self.count, dtype=torch.bool),
            beyond_need=torch.full((self.count,), self.v2g_kw > 0.0),
            sure_kwh=self.same(self.power_kw * slot_hours),
            park=torch.full((self.count,), -1),
            connection_kwh=self.same(0.0)[:0],
        )

    @model_validator(mode="before")
    @classmethod
    def _as_measured(cls, fields: Any) -> Any:
        """What is expected of vehicles as in Trondheim, where it is not said."""
        measured = isinstance(fields, dict) and fields.get("habits") == "trondheim"
        return {**ev_habits.EXPECTED, **fields} if measured else fields

    def draw(self, dice: Dice, day: Day) -> Sessions:
        """Draw the session of every evening."""
        size = (self._evenings(day), self.count)
        arrival, departure, need = self._drawn(dice, size)
        certain = self.plugged_share >= 1.0
        here = np.full(arrival.shape, True) if certain else dice.uniform(*size) < self.plugged_share
        return self._sessions(day, *(torch.from_numpy(part) for part in (arrival, departure, need, here)))

    def _drawn(self, dice: Dice, size: tuple[int, int]) -> tuple[Array, Array, Array]:
        """Local hours of arrival and departure, and needs in kWh; those of commuters are all independent."""
        if self.pool:
            drawn = np.array(self.pool)[dice.integers(len(self.pool), *size)]
            arrival, stay, need = (np.ascontiguousarray(drawn[..., column]) for column in range(3))
            return arrival, arrival + stay, need
        if self.habits == "trondheim":
            measured = ev_habits.draw(dice, *size)
            return measured.arrival_hour, measured.departure_hour, measured.need_kwh
        first, last = self.departure_first_hour, self.departure_last_hour
        arrival = self.arrival_hour + self.arrival_spread_h * dice.normal(*size)
        departure = first + (last - first) * dice.uniform(*size)
        return arrival, departure, self.need_median_kwh * np.exp(self.need_log_spread * dice.normal(*size))

    def expected(self, day: Day) -> Sessions:
        """Return the mean session of every evening."""
        every = torch.ones(day.rows, self._evenings(day), self.count, dtype=torch.float64)
        departure = (self.departure_first_hour + self.departure_last_hour) / 2.0
        likely = torch.full(every.shape, self.plugged_share >= 0.5)
        return self._sessions(day, self.arrival_hour * every, departure * every, self.mean_need_kwh * every, likely)

    def mean_kw(self, outdoors: float, hours: float) -> float:
        """Return the mean power of one vehicle."""
        return self.mean_need_kwh * self.plugged_share * max(round(hours / 24.0), 1) / self.efficiency / hours

    @property
    def mean_need_kwh(self) -> float:
        """Mean of the lognormal need, not counting what the upper bound cuts off (1 % at the default)."""
        return min(self.need_median_kwh * math.exp(self.need_log_spread**2 / 2.0), self.need_max_kwh)

    def check(self, name: str, hours: tuple[float, float]) -> None:
        """Refuse stays that are too short for the median need, and a first departure after the last."""
        first, last = self.departure_first_hour, self.departure_last_hour
        holds = self.power_kw * self.efficiency * (min(first, hours[1]) - self.arrival_hour)
        if last < first:
            raise ConfigError(name, "devices.ev.departure_last_hour", last, f"at least {first:g}, the first hour")
        if holds < self.need_median_kwh:
            expectation = f"at most {holds:g}, what {self.power_kw:g} kW charge between arrival and departure"
            raise ConfigError(name, "devices.ev.need_median_kwh", self.need_median_kwh, expectation)
        if self.v2g_kw and self.leaving_kwh > self.usable_kwh:
            raise ConfigError(name, "devices.ev.leaving_kwh", self.leaving_kwh, f"at most {self.usable_kwh:g}")

    def _evenings(self, day: Day) -> int:
        """Number of evenings on which a vehicle is expected before the episode ends."""
        return max(math.ceil((day.end_hour - self.arrival_hour) / 24.0), 1)

    def _sessions(self, day: Day, arrival_h: Tensor, departure_h: Tensor, need: Tensor, here: Tensor) -> Sessions:
        """Put local hours [B, K, n] of the first day on slots, clip sessions to the episode and needs to what fits."""
        later = 24.0 * torch.arange(arrival_h.shape[1], dtype=torch.float64)[:, None]
        arrival = day.slot(arrival_h + later).clamp(0, day.slots - 1)
        departure = torch.maximum(day.slot(departure_h + later), arrival + 1).clamp(max=day.slots)
        departure[:, :-1] = torch.minimum(departure[:, :-1], arrival[:, 1:])
        departure = torch.where(here, torch.maximum(departure, arrival), arrival)
        room = (departure - arrival) * kwh_from_kw(self.power_kw) * self.efficiency
        driven = torch.minimum(need.clamp(max=self.need_max_kwh), room)
        if not self.v2g_kw:
            return Sessions(arrival, departure, driven, torch.zeros_like(driven))
        target = torch.where(here, self.leaving_kwh, 0.0).to(driven)
        return Sessions(arrival, departure, target, (target - driven).clamp(min=0.0))
