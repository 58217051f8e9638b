"""What a device is to the rest of the program: settings that a user writes, and a family that does the mathematics.

A kind of device (vehicle, freezer, ...) is one pydantic model: how many there are, their numbers, their habits. Kinds
with the same equations share a family, a frozen record of tensors, so that all of them are stepped together.

Letters in the shapes: B rows, T slots, n devices of the family, always the last axis of habits and states. Consumption
is positive, energies are kWh per slot at the house, prices EUR/kWh, temperatures degrees Celsius.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import torch
from pydantic import BaseModel, Field, NonNegativeInt, model_validator
from torch import Tensor

from totalflex_env import batch
from totalflex_env.devices.bidding import Bid, View, stay
from totalflex_env.dice import Dice
from totalflex_env.errors import ConfigError
from totalflex_env.linear_types import LinearBlock
from totalflex_env.settings import Settings
from totalflex_env.trade_types import FlexOfferBatch
from totalflex_env.units import SLOT_HOURS, SLOTS_PER_HOUR

Habits = TypeVar("Habits")  # what the episode brings to the devices: sessions, weather around them, windows
State = TypeVar("State")  # what moves
Guard = TypeVar("Guard")  # what the expectation tells about limits, None for most families


@dataclass(frozen=True)
class Weather:
    """The weather as far as devices feel it."""

    temperature: Tensor  # [B, T] outdoors
    irradiance: Tensor  # [B, T] kW/m2 on the horizontal


@dataclass(frozen=True)
class Day:
    """Calendar and weather of episodes."""

    weather: Weather
    weekday: Tensor  # [B] int64, of the first slot, Monday is 0
    start_hour: float  # local hour at which the first slot begins

    @property
    def rows(self) -> int:
        """Number of episodes."""
        return len(self.weekday)

    @property
    def slots(self) -> int:
        """Slots of an episode."""
        return self.weather.temperature.shape[1]

    @property
    def slot_hours(self) -> float:
        """Hours per slot."""
        return SLOT_HOURS

    @property
    def end_hour(self) -> float:
        """Local hour at which the last slot ends, 24 and more being the next days."""
        return self.start_hour + self.slots * SLOT_HOURS

    def slot(self, hour: Tensor) -> Tensor:
        """Return the slot, int64, whose start is nearest to a local hour; any shape."""
        return torch.round((hour - self.start_hour) * SLOTS_PER_HOUR).long()

    def hour(self) -> Tensor:
        """Return the local hour of the day [T], 0 to 24, in the middle of every slot."""
        first = self.start_hour + SLOT_HOURS / 2.0
        return (first + SLOT_HOURS * torch.arange(self.slots, dtype=torch.float64)) % 24.0

    def day_of_week(self) -> Tensor:
        """Return the day of the week [B, T] int64 of every slot, Monday is 0."""
        passed = torch.floor((self.start_hour + SLOT_HOURS * torch.arange(self.slots, dtype=torch.float64)) / 24.0)
        return (self.weekday[:, None] + passed.long()) % 7


@dataclass(frozen=True)
class Range:
    """Energy limits of a slot and what the devices' own controllers would do within them."""

    lower: Tensor  # [B, n] kWh
    upper: Tensor  # [B, n] kWh
    default: Tensor  # [B, n] kWh


@dataclass(frozen=True)
class Discomfort:
    """What a slot did to the people who own the devices."""

    cost: Tensor  # [B, n] EUR
    degree_hours: Tensor | None = None  # [B, n] outside comfort bands
    unmet_kwh: Tensor | None = None  # [B, n] charge missing at departure


@dataclass(frozen=True)
class Rest(Generic[Habits, State, Guard]):
    """The rest of one episode, a batch of one row, from the start of `slot`: what offers and programs are made of."""

    slot: int
    slot_hours: float
    spot: Tensor  # [T]
    habits: Habits  # [1, ...] as known
    state: State  # [1, ...] at the start of `slot`
    guard: Guard
    wasteful: Tensor  # [T] bool, slots in which burning energy could pay

    @property
    def slots(self) -> int:
        """Slots of the episode."""
        return len(self.spot)


@dataclass(frozen=True)
class Family(ABC, Generic[Habits, State, Guard]):
    """Parameters [n] of all devices that obey the same equations, and these equations."""

    house: Tensor  # [n] int64, index of the house

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return the devices of several kinds as one record."""
        return batch.concatenate_rows(parts)

    @staticmethod
    def side_by_side(habits: Sequence[Habits]) -> Habits:
        """Return the habits of several kinds as one record: their tensors joined along the last axis."""
        joined: Habits = batch.concatenate_devices(habits)
        return joined

    @abstractmethod
    def range_kwh(self) -> tuple[Tensor, Tensor]:
        """Return the least and the most energy [n] kWh that a device could ever take in a slot."""

    # ------------------------------------------------------------ what is known of the episode
    @abstractmethod
    def present(self, actual: Habits, expected: Habits, slot: int, slots: int) -> Habits:
        """Return what is known at the start of `slot` of `slots` without a forecast; series are cut to it, T = 1."""

    @abstractmethod
    def known(self, actual: Habits, expected: Habits, weather: Weather, slot: int) -> Habits:
        """Return the habits as they can be known at the start of `slot` when this is the weather forecast then."""

    def news(self, present: Habits, slot: int) -> Tensor | None:
        """Return in which rows [B] bool `slot` tells something that plans should take in; None if in none ever."""
        return None

    def without(self, habits: Habits, there: Tensor) -> Habits:
        """Return habits [B, ...] in which devices that are not `there` [B, n] bool have nothing to do and to take.

        What looks ahead (rules, offers, programs) then leaves them alone; `fleet` keeps their energy and cost at zero.
        A family that does not say how is a ConfigError.
        """
        raise ConfigError("population", "devices", type(self).__name__, "families of devices that say `without`")

    def guard(self, expected: Habits) -> Guard:
        """Return what the expectation of the episode tells about limits; nothing for most families."""
        nothing: Guard = cast(Any, None)
        return nothing

    # ------------------------------------------------------------ physics
    @abstractmethod
    def start(self, habits: Habits) -> State:
        """Return the state [B, ...] at the beginning of the episode."""

    @abstractmethod
    def limits(self, state: State, habits: Habits, guard: Guard, slot: int) -> Range:
        """Return the energy range [B, n] kWh of a slot that keeps every later slot feasible.

        States may have a further axis in front, as the one of devices and their twins; then so may the range.
        """

    def snap(self, energy: Tensor, allowed: Range) -> Tensor:
        """Return the energy [B, n] kWh nearest to the one asked for that the device can take within its limits."""
        return torch.minimum(torch.maximum(energy, allowed.lower), allowed.upper)

    @abstractmethod
    def advance(self, state: State, energy: Tensor, habits: Habits, slot: int) -> State:
        """Return the state after a slot in which `energy` [B, n] kWh was taken; state and energy as with `limits`."""

    @abstractmethod
    def discomfort(self, after: State, habits: Habits, slot: int, slot_hours: float) -> Discomfort:
        """Return what a slot that ended in the state `after` did to people."""

    def shortfall(self, end: State, habits: Habits) -> Tensor | None:
        """Return the energy [B, n] kWh that refills the stores to where the episode began; None without a store."""
        return None

    def reactive(self, energy: Tensor, habits: Habits, slot: int) -> Tensor | None:
        """Return the reactive energy [B, n] kvarh drawn in a slot; None for devices with a power factor of one."""
        return None

    # ------------------------------------------------------------ plans
    @abstractmethod
    def offer(self, rest: Rest[Habits, State, Guard]) -> FlexOfferBatch:
        """Return flex-offers from `rest.slot` to the end, `device` counted within the family.

        Any assignment of an offer must keep its device inside its limits, and the default must be among them.
        """

    @abstractmethod
    def linear(self, rest: Rest[Habits, State, Guard]) -> LinearBlock:
        """Return the devices as a linear program in which everything they can do is feasible at its cost."""

    # ------------------------------------------------------------ the scripted aggregator
    def holding(self, expected: Habits) -> Tensor | None:
        """Return the energy [B, T] kWh that the devices need for all that is expected, if they cannot choose when."""
        return None

    def value(self, expected: Habits, spot: Tensor) -> Tensor | None:
        """Return a table, rows first, of what states will be worth at the expected prices `spot` [B, T]; or None."""
        return None

    def bid(self, view: View[Habits, State]) -> Bid:
        """Return what the scripted aggregator bids for the devices in a slot; left alone unless that is worth it."""
        return stay(view)

    # ------------------------------------------------------------ rollouts
    def left_alone(self, rest: Rest[Habits, State, Guard]) -> tuple[Tensor, list[State]]:
        """Return the energy [n, W] kWh that the devices' own controllers take, and the state after every slot."""
        state, energies, states = rest.state, [], []
        for slot in range(rest.slot, rest.slots):
            energies.append(self.limits(state, rest.habits, rest.guard, slot).default)
            state = self.advance(state, energies[-1], rest.habits, slot)
            states.append(state)
        return torch.cat(energies).T, states


class DeviceSettings(BaseModel, ABC):
    """One kind of device: how many there are, their numbers, and what their owners are like."""

    model_config = Settings.model_config
    family: ClassVar[type[Family[Any, Any, Any]]]
    count: NonNegativeInt = 0
    houses: tuple[NonNegativeInt, ...] | None = Field(
        None, description="house of each device; without it, device i stands in house i modulo their number"
    )

    @model_validator(mode="after")
    def _one_house_each(self) -> Self:
        if self.houses is not None and len(self.houses) != self.count:
            raise ValueError(f"'houses' names {len(self.houses)} houses for {self.count} devices")
        return self

    @abstractmethod
    def build(self, houses: int, slot_hours: float) -> Family[Any, Any, Any]:
        """Return the parameters of all devices of this kind, float64, in a grid of so many houses."""

    def draw(self, dice: Dice, day: Day) -> Any:
        """Draw the habits [B, ...] of B episodes; unless a kind says otherwise, nothing is random about them."""
        return self.expected(day)

    @abstractmethod
    def expected(self, day: Day) -> Any:
        """Return the habits [B, ...] that are expected the day before."""

    @abstractmethod
    def mean_kw(self, outdoors: float, hours: float) -> float:
        """Return the mean power of one device, roughly, at a mean temperature outdoors over `hours` of an episode."""

    def check(self, name: str, hours: tuple[float, float]) -> None:
        """Raise a ConfigError of environment `name` if the habits do not fit the local `hours` of an episode."""

    def houses_of(self, houses: int) -> Tensor:
        """Return the house [count] int64 of every device; one that is not there is a ConfigError."""
        if self.houses is None:
            return torch.arange(self.count) % houses
        if max(self.houses, default=0) >= houses:
            raise ConfigError("devices", "houses", max(self.houses), f"a house from 0 to {houses - 1}")
        return torch.tensor(self.houses, dtype=torch.int64)

    def same(self, value: float) -> Tensor:
        """Return `value` for every device [count], float64."""
        return torch.full((self.count,), value, dtype=torch.float64)
