"""From messages to batches of flex-offers on a slot grid, and back.

Times are rounded inward: what may start from 10:07 on starts from 10:15, what must be decided by 10:07 is decided by
10:00. What a batch cannot hold without promising more than the message is refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import torch
from torch import Tensor

from totalflex_env.errors import DataError
from totalflex_env.flexoffer.message import FlexOfferMessage, Range, Schedule, ScheduleSlice, Slice
from totalflex_env.flexoffer.offers import require, tighten, tolerance, validate
from totalflex_env.flexoffer.respond import respond
from totalflex_env.trade_types import FlexOfferBatch, OfferState

DEPENDENCIES = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1))
"""Signs of (a, b) in a * taken before + b * taken now <= c that bound a slice, the sum before it or the sum with it."""


@dataclass(frozen=True)
class Grid:
    """Slot 0 begins at `origin`, a time with its offset from UTC."""

    origin: datetime
    slot_seconds: int = 900

    def first(self, time: datetime) -> int:
        """Return the first slot that begins at a time or after it."""
        return -((self.origin - time) // timedelta(seconds=self.slot_seconds))

    def last(self, time: datetime) -> int:
        """Return the last slot that begins at a time or before it."""
        return (time - self.origin) // timedelta(seconds=self.slot_seconds)

    def time(self, slot: int) -> datetime:
        """Return when a slot begins."""
        return self.origin + timedelta(seconds=slot * self.slot_seconds)


@dataclass
class _Profile:
    """Bounds of a message slot by slot in kWh: of the energy, and of the sum since the start."""

    lower: list[float]
    upper: list[float]
    floor: list[float]
    ceiling: list[float]


def to_batch(messages: Sequence[FlexOfferMessage], grid: Grid, divisible: bool = False) -> FlexOfferBatch:
    """Return messages as valid flex-offers, in the same order; DataError or OfferError for one that is none.

    `device` is the number of the message, `house` that of its owner. A slice of several intervals with one range of
    energy means constant power, which intervals of a batch would not keep: it is refused unless its energy is fixed
    or devices are `divisible`, whose intervals may then differ, each in its share of the range. Without a default
    schedule the default is the least energy at the earliest start.
    """
    if not messages:
        raise DataError("flex-offer message", "flexOffer", "[]", "at least one flex-offer")
    profiles = [_profile(message, divisible) for message in messages]
    width = max(len(profile.lower) for profile in profiles)
    windows = [_window(message, len(profile.lower), grid) for message, profile in zip(messages, profiles, strict=True)]
    times = torch.tensor(windows, dtype=torch.int64).T
    totals = torch.tensor([_total(*one) for one in zip(messages, profiles, strict=True)], dtype=torch.float64)
    owners = list(dict.fromkeys(message.offered_by_id for message in messages))
    lower = _table([profile.lower for profile in profiles], width, 0.0)
    defaults = [message.default_schedule for message in messages]
    offers = FlexOfferBatch(
        device=torch.arange(len(messages)),
        house=torch.tensor([owners.index(message.offered_by_id) for message in messages]),
        earliest=times[0],
        latest=times[1],
        slices=torch.tensor([len(profile.lower) for profile in profiles]),
        lower=lower,
        upper=_table([profile.upper for profile in profiles], width, 0.0),
        total_lower=totals[:, 0],
        total_upper=totals[:, 1],
        level_lower=_table([profile.floor for profile in profiles], width, -math.inf),
        level_upper=_table([profile.ceiling for profile in profiles], width, math.inf),
        default_start=torch.tensor([_start(one, grid, int(begin)) for one, begin in zip(defaults, times[0])]),
        default=_table([_energies(one) if one else [] for one in defaults], width, 0.0),
        price_shift=torch.zeros_like(lower[:, 0]),
        acceptance=times[2],
        assignment=times[3],
        state=torch.tensor([OfferState[message.state.upper()] for message in messages]),
    )
    least = _least(offers)
    silent = torch.tensor([one is None for one in defaults]).unsqueeze(1)
    offers = replace(offers, default=torch.where(silent, least, offers.default))
    validate(offers)
    return offers


def from_batch(offers: FlexOfferBatch, grid: Grid, created: datetime) -> list[FlexOfferMessage]:
    """Return flex-offers as messages created at a time: `id` is the device, the owner the house.

    The price of a shift has no field in the message and stays at home.
    """
    return [_message(offers, row, grid, created) for row in range(len(offers.state))]


def with_schedules(
    messages: Sequence[FlexOfferMessage], grid: Grid, start: Tensor, energy: Tensor
) -> list[FlexOfferMessage]:
    """Return the messages, assigned to start [N] int64 and energy [N, W] kWh per slot.

    `updateId` counts the schedules that a message has been given.
    """
    assigned = []
    for message, begin, energies in zip(messages, start.tolist(), energy.tolist(), strict=True):
        slices = sum(one.max_duration for one in message.flex_offer_profile_constraints)
        before = message.flex_offer_schedule
        schedule = _schedule(grid.time(begin), energies[:slices]).model_copy(
            update={"schedule_id": 0, "update_id": 1 + (before.update_id or 0 if before else 0)}
        )
        assigned.append(message.model_copy(update={"flex_offer_schedule": schedule, "state": "assigned"}))
    return assigned


def schedules(messages: Sequence[FlexOfferMessage], offers: FlexOfferBatch, grid: Grid) -> tuple[Tensor, Tensor]:
    """Return what messages are assigned to: start [N] int64 and energy [N, W] kWh; each must hold a schedule."""
    given = [message.flex_offer_schedule for message in messages]
    require("the message holds a schedule", torch.tensor([one is not None for one in given]), offers.state)
    start = torch.tensor([_start(one, grid, 0) for one in given])
    return start, _table([_energies(one) if one else [] for one in given], offers.lower.shape[1], 0.0)


def _profile(message: FlexOfferMessage, divisible: bool) -> _Profile:
    """Return the bounds that the slices and the reservoir of a message set."""
    profile = _Profile([], [], [], [])
    for number, one in enumerate(message.flex_offer_profile_constraints):
        field = f"flexOfferProfileConstraints.{number}"
        for bounds in _ranges(message, one, field, divisible):
            profile.lower.append(bounds.lower)
            profile.upper.append(bounds.upper)
            profile.floor.append(-math.inf)
            profile.ceiling.append(math.inf)
        for row in one.dependency_energy_constraint_list:
            _depend(profile, row, message, field)
    if not profile.lower:
        raise _refused(message, "flexOfferProfileConstraints", [], "at least one slice; none withdraws the flexibility")
    if message.sub_total_energy_constraint:
        profile.floor = [max(floor, message.sub_total_energy_constraint.lower) for floor in profile.floor]
        profile.ceiling = [min(most, message.sub_total_energy_constraint.upper) for most in profile.ceiling]
    return profile


def _ranges(message: FlexOfferMessage, one: Slice, field: str, divisible: bool) -> list[Range]:
    """Return the range of every interval of a slice."""
    ranges, duration = one.energy_constraint_list, one.max_duration
    if len(ranges) == duration:
        return ranges
    if not divisible and ranges[0].lower != ranges[0].upper:
        expected = "a duration of 1, a fixed energy, or a range for each interval: one range means constant power"
        raise _refused(message, f"{field}.maxDuration", duration, expected)
    return [Range(lower=ranges[0].lower / duration, upper=ranges[0].upper / duration)] * duration


def _depend(profile: _Profile, row: tuple[float, float, float], message: FlexOfferMessage, field: str) -> None:
    """Add a * taken before + b * taken now <= c to the last slot of a profile."""
    before, now, most = row
    scale = max(abs(before), abs(now))
    if scale == 0.0 or (before / scale, now / scale) not in DEPENDENCIES:
        expected = "a and b of 0 and one size: bounds of a slice, of the sum before it or of the sum with it"
        raise _refused(message, f"{field}.DependencyEnergyConstraintList", row, expected)
    slot, bound = len(profile.lower) - 1, most / scale
    if before == 0.0:
        _cut(profile.lower, profile.upper, slot, now, bound)
    elif now != 0.0:
        _cut(profile.floor, profile.ceiling, slot, now, bound)
    elif slot > 0:
        _cut(profile.floor, profile.ceiling, slot - 1, before, bound)
    elif bound < 0.0:
        raise _refused(message, f"{field}.DependencyEnergyConstraintList", row, "c >= 0: nothing was taken before")


def _cut(lower: list[float], upper: list[float], slot: int, sign: float, bound: float) -> None:
    """Demand sign * energy <= bound in a slot."""
    if sign > 0.0:
        upper[slot] = min(upper[slot], bound)
    else:
        lower[slot] = max(lower[slot], -bound)


def _total(message: FlexOfferMessage, profile: _Profile) -> tuple[float, float]:
    total = message.total_energy_constraint
    return (total.lower, total.upper) if total else (sum(profile.lower), sum(profile.upper))


def _window(message: FlexOfferMessage, slices: int, grid: Grid) -> tuple[int, int, int, int]:
    """Return earliest and latest start, last slot for an answer and for an assignment, all rounded inward."""
    if message.num_seconds_per_interval != grid.slot_seconds:
        expected = f"{grid.slot_seconds}, as the grid has it"
        raise _refused(message, "numSecondsPerInterval", message.num_seconds_per_interval, expected)
    earliest = grid.first(message.start_after_time or message.creation_time)
    latest = grid.last(message.start_before_time)
    if message.end_after_time:
        earliest = max(earliest, grid.first(message.end_after_time) - slices)
    if message.end_before_time:
        latest = min(latest, grid.last(message.end_before_time) - slices)
    if not 0 <= earliest <= latest:
        begin = grid.origin.isoformat()
        value = message.start_before_time.isoformat()
        raise _refused(message, "startBeforeTime", value, f"a slot of the grid from {begin} on in the start window")
    assignment = grid.last(message.assignment_before_time) if message.assignment_before_time else earliest
    if message.assignment_before_start is not None:
        assignment = min(assignment, earliest - math.ceil(message.assignment_before_start / grid.slot_seconds))
    assignment = min(assignment, latest)
    acceptance = grid.last(message.accept_before_time) if message.accept_before_time else assignment
    return earliest, latest, min(acceptance, assignment), assignment


def _start(schedule: Schedule | None, grid: Grid, otherwise: int) -> int:
    return grid.first(schedule.start_time) if schedule else otherwise


def _energies(schedule: Schedule) -> list[float]:
    """Return the energy of a schedule slot by slot: intervals of a slice have equal parts of it."""
    return [one.energy_amount / one.duration for one in schedule.schedule_slices for _ in range(one.duration)]


def _least(offers: FlexOfferBatch) -> Tensor:
    """Return the least energy [N, W] kWh that each offer can take, as early as it may."""
    at_once = tighten(replace(offers, latest=offers.earliest, default_start=offers.earliest))
    return respond(at_once, torch.ones(int((offers.earliest + offers.slices).max())).double())[1]


def _table(rows: list[list[float]], width: int, behind: float) -> Tensor:
    """Return rows as [N, width] float64, filled up with `behind`; a longer one is a DataError."""
    for row in rows:
        if len(row) > width:
            raise DataError("flex-offer message", "scheduleSlices", len(row), f"at most {width} intervals")
    return torch.tensor([row + [behind] * (width - len(row)) for row in rows], dtype=torch.float64)


def _message(offers: FlexOfferBatch, row: int, grid: Grid, created: datetime) -> FlexOfferMessage:
    slices, slack = int(offers.slices[row]), tolerance(offers.lower)
    lower, upper = offers.lower[row, :slices], offers.upper[row, :slices]
    total = Range(lower=float(offers.total_lower[row]), upper=float(offers.total_upper[row]))
    binds = total.lower > float(lower.sum()) + slack or total.upper < float(upper.sum()) - slack
    floors, ceilings = offers.level_lower[row].tolist(), offers.level_upper[row].tolist()
    profile = [
        Slice(
            energy_constraint_list=[Range(lower=low, upper=high)],
            dependency_energy_constraint_list=[(1.0, 1.0, most)] * (most < math.inf)
            + [(-1.0, -1.0, -least)] * (least > -math.inf),
        )
        for low, high, least, most in zip(lower.tolist(), upper.tolist(), floors, ceilings)
    ]
    return FlexOfferMessage(
        id=str(int(offers.device[row])),
        state=OfferState(int(offers.state[row])).name.lower(),
        creation_time=created,
        offered_by_id=str(int(offers.house[row])),
        accept_before_time=grid.time(int(offers.acceptance[row])),
        assignment_before_time=grid.time(int(offers.assignment[row])),
        start_after_time=grid.time(int(offers.earliest[row])),
        start_before_time=grid.time(int(offers.latest[row])),
        num_seconds_per_interval=grid.slot_seconds,
        flex_offer_profile_constraints=profile,
        total_energy_constraint=total if binds else None,
        default_schedule=_schedule(grid.time(int(offers.default_start[row])), offers.default[row, :slices].tolist()),
    )


def _schedule(begin: datetime, energies: list[float]) -> Schedule:
    return Schedule(start_time=begin, schedule_slices=[ScheduleSlice(energy_amount=amount) for amount in energies])


def _refused(message: FlexOfferMessage, field: str, value: object, expected: str) -> DataError:
    return DataError(f"flex-offer {message.id}", field, value, expected)
