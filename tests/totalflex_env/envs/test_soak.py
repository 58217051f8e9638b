"""Random actions of everybody in every environment leave nothing broken and nothing uncounted."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from totalflex_env import config_files
from totalflex_env.engine.roles import ROLES
from totalflex_env.envs.batched import Batch, Setup, Slot
from totalflex_env.envs.soak import check, soak
from totalflex_env.errors import PhysicsError


def test_a_tiny_world_stands_it() -> None:
    found = soak("tiny", 2000, rows=16)
    assert found.agent_steps >= 2000
    assert found.slots == found.agent_steps / 5
    assert found.unconverged == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", config_files.names("env"))
def test_every_environment_stands_a_day_of_it(name: str) -> None:
    assert soak(name, 20_000, rows=8).unconverged == 0


def played() -> tuple[Batch, Slot]:
    batch = Batch("tiny", ROLES, Setup(dtype=torch.float64))
    batch.reset([0])
    return batch, batch.step({})


def test_what_is_no_number_is_found() -> None:
    batch, slot = played()
    check(batch, slot)
    broken = replace(slot.outcome, costs=replace(slot.outcome.costs, voltage=torch.tensor([torch.nan])))
    with pytest.raises(PhysicsError, match=r"tiny, slot 0: outcome\.costs\.voltage is no number"):
        check(batch, replace(slot, outcome=broken))


def test_a_ledger_that_does_not_balance_and_money_from_nowhere_are_found() -> None:
    batch, slot = played()
    balance = slot.outcome.ledger.balance.clone()
    balance[0, 0] += 1
    with pytest.raises(PhysicsError, match="balance"):
        check(batch, replace(slot, outcome=replace(slot.outcome, ledger=replace(slot.outcome.ledger, balance=balance))))
    with pytest.raises(PhysicsError, match="all roles earn"):
        check(batch, replace(slot, rewards={role: 2.0 * earned for role, earned in slot.rewards.items()}))


def test_a_store_below_empty_is_found() -> None:
    batch, slot = played()
    state = batch.simulator.state
    parts = tuple(
        replace(p, stored_kwh=p.stored_kwh - 99.0) if hasattr(p, "stored_kwh") else p for p in state.devices.parts
    )
    batch.simulator.state = replace(state, devices=replace(state.devices, parts=parts))
    with pytest.raises(PhysicsError, match="a store holds"):
        check(batch, slot)
