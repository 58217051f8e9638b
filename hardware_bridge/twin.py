"""What the bridge knows of its devices: only what they have told it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch

from hardware_bridge.messages import ApplianceReading, StorageReading, Telemetry, ThermalReading
from totalflex_env import fleet
from totalflex_env.devices.appliance import NEVER, Appliance, Started, Windows
from totalflex_env.devices.sessions import Sessions
from totalflex_env.devices.storage import Storage, Stored
from totalflex_env.devices.thermal import Climate, Thermal, Warmth
from totalflex_env.errors import DataError
from totalflex_env.types import DeviceState, Params, Scenario

Reading = TypeVar("Reading", StorageReading, ThermalReading, ApplianceReading)
Known = TypeVar("Known", Sessions, Climate, Windows)


def unseen(day: Scenario) -> Scenario:
    """Return the day without what devices have to tell: no session, no loaded machine, no stored energy, no warmth."""
    return replace(day, habits=tuple(_unseen(habits, day.spot.shape[1]) for habits in day.habits))


def learn(params: Params, known: Scenario, telemetry: Sequence[Telemetry]) -> Scenario:
    """Return the day as it is known once the N devices have reported; what a device told before stays known."""
    storages, machines = (
        _told(params, Storage, StorageReading, telemetry),
        _told(params, Appliance, ApplianceReading, telemetry),
    )
    known = _with(params, known, Storage, lambda habits: _sessions(habits, storages))
    return _with(params, known, Appliance, lambda habits: _windows(habits, machines))


def begin(params: Params, known: Scenario, telemetry: Sequence[Telemetry]) -> Scenario:
    """Return the day as it is known at its start, with what is stored and how warm it is."""
    storages, heat = (
        _told(params, Storage, StorageReading, telemetry),
        _told(params, Thermal, ThermalReading, telemetry),
    )
    learnt = learn(params, known, telemetry)
    learnt = _with(params, learnt, Storage, lambda habits: replace(habits, stored_kwh=_stored(habits, storages)))
    return _with(params, learnt, Thermal, lambda habits: replace(habits, start=_temperatures(habits, heat)))


def devices(params: Params, known: Scenario, telemetry: Sequence[Telemetry]) -> DeviceState:
    """Return the state [1, ...] that the N devices report."""
    parts: list[Any] = []
    for family, habits in zip(params.families, known.habits):
        if isinstance(family, Storage):
            parts.append(Stored(_stored(habits, _told(params, Storage, StorageReading, telemetry))[:, 0]))
        elif isinstance(family, Thermal):
            parts.append(Warmth(_temperatures(habits, _told(params, Thermal, ThermalReading, telemetry))))
        else:
            machines = _told(params, Appliance, ApplianceReading, telemetry)
            starts = [NEVER if each.started is None else each.started for each in machines]
            parts.append(Started(habits.ready.new_tensor([[starts]])))
    return DeviceState(tuple(parts))


def _unseen(habits: Any, slots: int) -> Any:
    if isinstance(habits, Sessions):
        never, nothing = torch.full_like(habits.arrival, slots), torch.zeros_like(habits.need_kwh)
        return Sessions(never, never, nothing, nothing)
    if isinstance(habits, Climate):
        return replace(habits, start=torch.zeros_like(habits.start))
    never = torch.full_like(habits.ready, slots)
    return Windows(never, never, habits.programme)


def _with(params: Params, day: Scenario, kind: type[Any], change: Callable[[Known], Known]) -> Scenario:
    """Return the day with the habits of one family changed."""
    place = fleet.find(params, kind)
    if place is None:
        return day
    habits = list(day.habits)
    habits[place.index] = change(habits[place.index])
    return replace(day, habits=tuple(habits))


def _sessions(known: Sessions, readings: list[StorageReading]) -> Sessions:
    arrival, departure, need = known.arrival.clone(), known.departure.clone(), known.need_kwh.clone()
    for i, reading in enumerate(readings):
        if reading.session is not None:
            arrival[0, 0, i], departure[0, 0, i] = reading.session.arrival, reading.session.departure
            need[0, 0, i] = reading.session.need_kwh
    return replace(known, arrival=arrival, departure=departure, need_kwh=need)


def _windows(known: Windows, readings: list[ApplianceReading]) -> Windows:
    ready, latest = known.ready.clone(), known.latest.clone()
    for i, reading in enumerate(readings):
        if reading.window is not None:
            ready[0, 0, i], latest[0, 0, i] = reading.window.ready, reading.window.latest
    return replace(known, ready=ready, latest=latest)


def _stored(habits: Sessions, readings: list[StorageReading]) -> torch.Tensor:
    return habits.stored_kwh.new_tensor([[[each.stored_kwh for each in readings]]])


def _temperatures(habits: Climate, readings: list[ThermalReading]) -> torch.Tensor:
    return habits.start.new_tensor([[each.temperature_c for each in readings]])


def _told(params: Params, family: type[Any], kind: type[Reading], telemetry: Sequence[Telemetry]) -> list[Reading]:
    """Return the readings of the devices of a family."""
    place = fleet.find(params, family)
    return [] if place is None else [_reading(each, kind) for each in telemetry[place.at]]


def _reading(telemetry: Telemetry, kind: type[Reading]) -> Reading:
    if not isinstance(telemetry.reading, kind):
        raise DataError(telemetry.device_id, "reading", telemetry.reading, f"a {kind.__name__}")
    return telemetry.reading
