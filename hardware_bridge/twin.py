"""What the bridge knows of its devices: only what they have told it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import torch

from hardware_bridge.messages import ApplianceReading, StorageReading, Telemetry, ThermalReading
from totalflex_env.errors import DataError
from totalflex_env.types import DeviceState, Params, Scenario

Reading = TypeVar("Reading", StorageReading, ThermalReading, ApplianceReading)


def unseen(day: Scenario) -> Scenario:
    """Return the day without what devices have to tell: no session, no loaded machine, no stored energy, no warmth."""
    never = day.spot.shape[1]
    return replace(
        day,
        arrival=torch.full_like(day.arrival, never),
        departure=torch.full_like(day.departure, never),
        need_kwh=torch.zeros_like(day.need_kwh),
        stored_kwh=torch.zeros_like(day.stored_kwh),
        start_temperature=torch.zeros_like(day.start_temperature),
        ready=torch.full_like(day.ready, never),
        latest=torch.full_like(day.latest, never),
    )


def learn(params: Params, known: Scenario, telemetry: Sequence[Telemetry]) -> Scenario:
    """Return the day as it is known once the N devices have reported; what a device told before stays known."""
    storages, _, appliances = _by_kind(params, telemetry)
    sessions = [(i, reading.session) for i, reading in enumerate(storages) if reading.session is not None]
    windows = [(i, reading.window) for i, reading in enumerate(appliances) if reading.window is not None]
    arrival, departure, need = known.arrival.clone(), known.departure.clone(), known.need_kwh.clone()
    for i, session in sessions:
        arrival[0, i], departure[0, i], need[0, i] = session.arrival, session.departure, session.need_kwh
    ready, latest = known.ready.clone(), known.latest.clone()
    for i, window in windows:
        ready[0, i], latest[0, i] = window.ready, window.latest
    return replace(known, arrival=arrival, departure=departure, need_kwh=need, ready=ready, latest=latest)


def begin(params: Params, known: Scenario, telemetry: Sequence[Telemetry]) -> Scenario:
    """Return the day as it is known at its start, with what is stored and how warm it is."""
    state = devices(params, known, telemetry)
    return replace(learn(params, known, telemetry), stored_kwh=state.stored_kwh, start_temperature=state.temperature)


def devices(params: Params, known: Scenario, telemetry: Sequence[Telemetry]) -> DeviceState:
    """Return the state [1, ...] that the N devices report."""
    storages, thermals, appliances = _by_kind(params, telemetry)
    slots = known.spot.shape[1]
    return DeviceState(
        stored_kwh=known.stored_kwh.new_tensor([[each.stored_kwh for each in storages]]),
        temperature=known.start_temperature.new_tensor([[each.temperature_c for each in thermals]]),
        start=known.ready.new_tensor([[slots if each.started is None else each.started for each in appliances]]),
    )


def _by_kind(
    params: Params, telemetry: Sequence[Telemetry]
) -> tuple[list[StorageReading], list[ThermalReading], list[ApplianceReading]]:
    first, second = len(params.storage.house), len(params.storage.house) + len(params.thermal.house)
    return (
        [_reading(each, StorageReading) for each in telemetry[:first]],
        [_reading(each, ThermalReading) for each in telemetry[first:second]],
        [_reading(each, ApplianceReading) for each in telemetry[second:]],
    )


def _reading(telemetry: Telemetry, kind: type[Reading]) -> Reading:
    if not isinstance(telemetry.reading, kind):
        raise DataError(telemetry.device_id, "reading", telemetry.reading, f"a {kind.__name__}")
    return telemetry.reading
