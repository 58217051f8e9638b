"""Agents and devices of the fake house, without MQTT."""

from __future__ import annotations

import msgspec
import pytest
import torch

from hardware_bridge.config import FaultConfig
from hardware_bridge.fake_house import House, Plan
from hardware_bridge.messages import SLOT_MS, Basis, Command, Heartbeat, StorageReading, Telemetry
from totalflex_env import fleet
from totalflex_env.engine.build import World
from totalflex_env.types import Episode

EV, BATTERY = "ev-0", "battery-1"


@pytest.fixture
def house(world: World, episode: Episode) -> House:
    return House(Plan(world.params, episode))


def report(house: House, device: str) -> Telemetry:
    reported = house.agents[device].reported
    assert reported is not None
    return reported


def command(house: House, device: str, energy_kwh: float, epoch: int = 1, seq: int = 1) -> Command:
    latest = report(house, device)
    basis = Basis(latest.boot_id, latest.seq)
    return Command(f"c-{epoch}-{seq}", device, epoch, seq, latest.slot, energy_kwh, basis, SLOT_MS)


def test_devices_have_names_in_the_order_of_the_engine(house: House) -> None:
    assert list(house.agents) == [EV, BATTERY, "heat-pump-2", "freezer-3", "dishwasher-4"]
    battery = house.descriptors[1]
    assert (battery.lower_kw, battery.upper_kw, battery.capacity_kwh) == (-4.0, 4.0, 8.0)


def test_a_command_is_executed_and_metered(house: House) -> None:
    assert house.command(command(house, BATTERY, -0.5)).refused is None
    house.heartbeat(Heartbeat(1, 1))
    after = report(house, BATTERY)
    assert (after.energy_kwh, after.applied, after.slot, after.up_ms) == (-0.5, "c-1-1", 1, SLOT_MS)
    assert isinstance(after.reading, StorageReading)
    assert after.reading.stored_kwh == pytest.approx(4.0 - 0.5 / 0.95, abs=1e-12)


def test_without_a_command_a_device_follows_its_own_controller(house: House, world: World, episode: Episode) -> None:
    expected = fleet.limits(world.params, house.devices, episode, 0).default
    house.heartbeat(Heartbeat(1, 1))
    metered = [report(house, device).energy_kwh for device in house.agents]
    assert torch.equal(torch.tensor([metered], dtype=torch.float64), expected)
    assert all(report(house, device).applied is None for device in house.agents)


def test_a_command_that_comes_again_is_answered_and_not_executed_again(house: House) -> None:
    first = command(house, BATTERY, 0.5)
    answers = [house.command(first) for _ in range(3)]
    assert [(answer.refused, answer.duplicate) for answer in answers] == [(None, False), (None, True), (None, True)]
    house.heartbeat(Heartbeat(1, 1))
    assert house.command(first).duplicate
    house.heartbeat(Heartbeat(1, 2))
    after = report(house, BATTERY)
    assert (after.energy_kwh, after.applied) == (0.0, None)


def test_a_heartbeat_that_comes_again_moves_nothing(house: House) -> None:
    house.command(command(house, BATTERY, 0.5))
    once = house.heartbeat(Heartbeat(1, 1))
    assert len(once) == 5
    assert house.heartbeat(Heartbeat(1, 1)) == once
    assert house.heartbeat(Heartbeat(1, 0)) == ()
    assert house.heartbeat(Heartbeat(1, 3)) == ()
    assert house.slot == 1


def test_the_clock_ends_with_the_day(house: House) -> None:
    for slot in range(1, 7):
        house.heartbeat(Heartbeat(1, slot))
    assert house.slot == 4


def test_an_old_bridge_is_fenced(house: House) -> None:
    assert house.command(command(house, BATTERY, 0.5, epoch=2)).refused is None
    assert house.command(command(house, BATTERY, -0.5, epoch=1, seq=9)).refused == "old-epoch"
    assert house.heartbeat(Heartbeat(1, 1)) == ()
    house.heartbeat(Heartbeat(2, 1))
    assert report(house, BATTERY).energy_kwh == 0.5


def test_a_new_bridge_voids_the_commands_of_the_old_one(house: House) -> None:
    house.command(command(house, BATTERY, 0.5, epoch=1))
    house.heartbeat(Heartbeat(2, 0))
    house.heartbeat(Heartbeat(2, 1))
    assert report(house, BATTERY).applied is None


def test_order_slot_and_basis_are_checked(house: House) -> None:
    good = command(house, BATTERY, 0.5, seq=5)
    assert house.command(good).refused is None
    late = msgspec.structs.replace(good, cmd_id="late", seq=4)
    other_slot = msgspec.structs.replace(good, cmd_id="slot", seq=6, slot=3)
    other_boot = msgspec.structs.replace(good, cmd_id="boot", seq=6, basis=Basis("before", 0))
    old_report = msgspec.structs.replace(good, cmd_id="seq", seq=6, basis=Basis(house.boot_id, 9))
    answers = [house.command(each).refused for each in (late, other_slot, other_boot, old_report)]
    assert answers == ["old-sequence", "wrong-slot", "stale-basis", "stale-basis"]
    house.heartbeat(Heartbeat(1, 1))
    assert report(house, BATTERY).applied == good.cmd_id


def test_a_lease_that_has_ended_leaves_the_device_to_its_controller(house: House) -> None:
    house.command(msgspec.structs.replace(command(house, BATTERY, 0.5), lease_ms=0))
    house.heartbeat(Heartbeat(1, 1))
    assert report(house, BATTERY).applied is None


@pytest.mark.parametrize(("asked", "done"), [(50.0, 1.0), (-50.0, -1.0)])
def test_a_device_keeps_its_own_limits(house: House, asked: float, done: float) -> None:
    house.command(command(house, BATTERY, asked))
    house.heartbeat(Heartbeat(1, 1))
    assert report(house, BATTERY).energy_kwh == done


def test_a_fault_is_metered_and_acknowledged_all_the_same(world: World, episode: Episode) -> None:
    house = House(Plan(world.params, episode, FaultConfig(device=BATTERY, slot=0, scale=0.25)))
    assert house.command(command(house, BATTERY, 0.8)).refused is None
    house.heartbeat(Heartbeat(1, 1))
    assert report(house, BATTERY).energy_kwh == pytest.approx(0.2, abs=1e-12)
    assert report(house, BATTERY).applied == "c-1-1"
