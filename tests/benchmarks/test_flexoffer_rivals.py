"""The linear programs that HiGHS is timed on are the problems that our figures are about."""

from __future__ import annotations

import pytest
import torch

from benchmarks import fleets, linear_program
from totalflex_env.flexoffer.exact import aggregate_exact
from totalflex_env.flexoffer.members import join
from totalflex_env.flexoffer.objective import objective
from totalflex_env.flexoffer.offers import validate
from totalflex_env.flexoffer.schedule import schedule
from totalflex_env.flexoffer.support import respond

PRICE = 0.1 + 0.08 * torch.randn(fleets.SLOTS, generator=torch.Generator().manual_seed(1)).double()


def test_the_price_optimum_is_that_of_the_linear_program() -> None:
    cars, batteries, machines = fleets.vehicles(12, 1), fleets.storages(8, 2), fleets.programmes(6, 3)
    members = join(
        [fleets.vehicle_members(cars), fleets.storage_members(batteries, 12), fleets.programme_members(machines, 20)]
    )
    ours = float(respond(aggregate_exact(members), PRICE[None])[0] @ PRICE)
    theirs, seconds = linear_program.schedule(objective(PRICE, torch.zeros(96)), [cars, batteries], [machines])
    assert ours == pytest.approx(theirs, abs=1e-5)
    assert seconds > 0.0


def test_the_schedule_is_that_of_the_linear_program() -> None:
    cars = fleets.vehicles(20, 4)
    goal = objective(PRICE, torch.full((96,), 20.0), above=0.3, below=0.2)
    ours = schedule(aggregate_exact(fleets.vehicle_members(cars)), goal)
    theirs, _ = linear_program.schedule(goal, [cars], [])
    assert ours.bound <= theirs + 1e-5
    assert theirs <= ours.cost + 1e-5
    assert ours.gap <= 1e-3


def test_the_profiles_are_valid_offers() -> None:
    validate(fleets.profiles(500, 5))
