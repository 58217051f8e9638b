from __future__ import annotations

import msgspec
import pytest
import torch

from hardware_bridge import twin
from hardware_bridge.fake_house import House, Plan
from hardware_bridge.messages import Heartbeat, Telemetry, ThermalReading
from totalflex_env import batch, fleet
from totalflex_env.engine.build import World
from totalflex_env.errors import DataError
from totalflex_env.types import Episode


@pytest.fixture
def reported(world: World, episode: Episode) -> tuple[Telemetry, ...]:
    return House(Plan(world.params, episode)).heartbeat(Heartbeat(1, 0))


def test_the_day_begins_unknown_and_is_told_by_the_devices(
    world: World, episode: Episode, reported: tuple[Telemetry, ...]
) -> None:
    """In this world every session and programme begins in the first slot, so the first telemetry tells it all."""
    unseen = twin.unseen(episode.actual)
    sessions, climate, windows = unseen.habits
    assert bool((sessions.arrival == 4).all() and (windows.ready == 4).all())
    assert not bool(sessions.need_kwh.any() or sessions.stored_kwh.any() or climate.start.any())
    assert batch.equal(twin.begin(world.params, unseen, reported), episode.actual)


def test_what_was_told_before_stays_known(world: World, episode: Episode, reported: tuple[Telemetry, ...]) -> None:
    known = twin.begin(world.params, twin.unseen(episode.actual), reported)
    gone = msgspec.structs.replace(reported[0], reading=msgspec.structs.replace(reported[0].reading, session=None))
    assert batch.equal(twin.learn(world.params, known, (gone, *reported[1:])), known)


def test_the_state_is_what_the_devices_report(world: World, episode: Episode) -> None:
    house, known = House(Plan(world.params, episode)), episode.actual
    for slot in range(5):
        reported = house.heartbeat(Heartbeat(1, slot))
        assert batch.equal(twin.devices(world.params, known, reported), house.devices)
    before = fleet.start(world.params, known)
    assert not torch.equal(house.devices.parts[2].start, before.parts[2].start)


def test_a_reading_of_another_kind_is_refused(world: World, episode: Episode, reported: tuple[Telemetry, ...]) -> None:
    wrong = msgspec.structs.replace(reported[0], reading=ThermalReading(20.0))
    with pytest.raises(DataError, match="ev-0: reading"):
        twin.devices(world.params, episode.actual, (wrong, *reported[1:]))
