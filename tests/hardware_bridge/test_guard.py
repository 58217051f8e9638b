from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from hardware_bridge import guard
from hardware_bridge.guard import Reason
from totalflex_env.engine.build import World
from totalflex_env.engine.roles import ScriptedPolicy
from totalflex_env.engine.step import decide, situation, start
from totalflex_env.types import Episode, Situation

EV, BATTERY = 0, 1
TRUSTED = torch.ones(5, dtype=torch.bool)


@pytest.fixture
def now(world: World, episode: Episode) -> Situation:
    return situation(world.params, episode, start(world.params, episode))


def set_points(now: Situation, device: int, energy: float) -> Tensor:
    wanted = now.default.clone()
    wanted[0, device] = energy
    return wanted


def test_what_is_feasible_passes_bit_by_bit(now: Situation) -> None:
    for energy in (now.lower, now.upper, now.default, decide(now, ScriptedPolicy().act(now)).energy_kwh):
        given, reasons = guard.within(now, energy, TRUSTED)
        assert torch.equal(given, energy)
        assert reasons == {}


@pytest.mark.parametrize(("energy", "given_kwh"), [(1e6, 1.0), (-1e6, -1.0), (1.0 + 1e-9, 1.0)])
def test_what_is_outside_the_limits_is_clipped_and_recorded(now: Situation, energy: float, given_kwh: float) -> None:
    given, reasons = guard.within(now, set_points(now, BATTERY, energy), TRUSTED)
    assert given[0, BATTERY] == given_kwh
    assert reasons == {BATTERY: Reason.OUTSIDE}


@pytest.mark.parametrize("energy", [torch.nan, torch.inf, -torch.inf])
def test_what_is_no_number_becomes_the_default(now: Situation, energy: float) -> None:
    given, reasons = guard.within(now, set_points(now, EV, energy), TRUSTED)
    assert torch.equal(given, now.default)
    assert reasons == {EV: Reason.NOT_FINITE}


def test_a_device_that_is_not_trusted_gets_its_default(now: Situation) -> None:
    given, reasons = guard.within(now, set_points(now, BATTERY, 0.7), TRUSTED.clone().index_fill(0, torch.tensor(1), 0))
    assert torch.equal(given, now.default)
    assert reasons == {BATTERY: Reason.NOT_TRUSTED}


def test_a_programme_starts_whole_or_not_at_all(now: Situation) -> None:
    given, reasons = guard.within(now, set_points(now, 4, 0.4), TRUSTED)
    assert given[0, 4] == 0.5
    assert reasons == {4: Reason.OUTSIDE}


def test_an_action_is_sound_if_every_number_is(now: Situation) -> None:
    action = ScriptedPolicy().act(now)
    assert guard.sound(action)
    for name, value in vars(action).items():
        if isinstance(value, Tensor):
            assert not guard.sound(replace(action, **{name: value + torch.nan}))
    assert guard.sound(guard.default(now))
    assert torch.equal(decide(now, guard.default(now)).energy_kwh, now.default)
