"""Random actions of all roles for as long as one likes: nothing may leave what is possible, or go uncounted.

`python -m totalflex_env.envs.soak 1e7` spreads so many agent-steps over all registered environments.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from totalflex_env import config_files
from totalflex_env.devices.storage import Storage
from totalflex_env.engine.roles import ROLES
from totalflex_env.envs import spaces
from totalflex_env.envs.batched import Batch, Setup, Slot
from totalflex_env.envs.worlds import Environment
from totalflex_env.errors import PhysicsError, exit_on_error
from totalflex_env.market.settlement import residual

ROWS = 64
ROUNDING_EUR = 1e-3
"""Of prices and energies to millionths, in the sum of all roles' money of a slot, for each MWh that is traded in it."""
EMPTY_KWH = 1e-4
"""Rounding of a store of some tens of kWh in single precision."""


@dataclass(frozen=True)
class Soaked:
    """What was gone through."""

    agent_steps: int
    slots: int  # rows times slots
    unconverged: int  # power flows among them
    seconds: float  # of this process


def soak(env: Environment, agent_steps: int, rows: int = ROWS, dtype: torch.dtype = torch.float32) -> Soaked:
    """Step all roles of `rows` days at a time with random actions, some out of bounds, for at least `agent_steps`.

    Anything that is no number, a store below empty, a ledger that does not balance, or money that is not minus the
    system cost is a PhysicsError.
    """
    batch, began = Batch(env, ROLES, Setup(dtype=dtype)), time.process_time()
    generator = torch.Generator().manual_seed(0)
    taken = slots = unconverged = seed = 0
    while taken < agent_steps:
        batch.reset(range(seed, seed + rows))
        seed += rows
        done = False
        while not done and taken < agent_steps:
            idle = spaces.by_role(batch.idle)
            actions = {role: 2.2 * torch.rand(zeros.shape, generator=generator) - 1.1 for role, zeros in idle.items()}
            slot = batch.step({role: values.to(dtype) for role, values in actions.items()})
            check(batch, slot)
            done = slot.done
            taken += sum(zeros.shape[0] * zeros.shape[1] for zeros in idle.values())
            slots += rows
            unconverged += int((~slot.outcome.flow.converged).sum())
    return Soaked(taken, slots, unconverged, time.process_time() - began)


def check(batch: Batch, slot: Slot) -> None:
    """Raise a PhysicsError if a slot left what is possible."""
    where = f"{batch.config.name}, slot {batch.simulator.state.slot - 1}"
    state, outcome = batch.simulator.state, slot.outcome
    for name, record in (("outcome", outcome), ("decision", slot.decision), ("state", state)):
        if wrong := _not_finite(record):
            raise PhysicsError(f"{where}: {name}.{wrong} is no number")
    if residual(outcome.ledger).any():
        raise PhysicsError(f"{where}: the ledger does not balance")
    for family, part in zip(batch.params.families, state.devices.parts, strict=True):
        if isinstance(family, Storage) and (part.stored_kwh < -EMPTY_KWH).any():
            raise PhysicsError(f"{where}: a store holds {part.stored_kwh.min():.6g} kWh")
    money = torch.stack([earned.double().sum(dim=1) for earned in slot.rewards.values()]).sum(dim=0)
    cost, traded_mwh = outcome.costs.total().double(), (outcome.net_kwh.abs() + 2.0 * outcome.imbalance_kwh.abs()) / 1e3
    if "penalty" in batch.config.constraints and ((money + cost).abs() > ROUNDING_EUR * (1.0 + traded_mwh)).any():
        raise PhysicsError(f"{where}: all roles earn {money.tolist()} EUR where the system costs {cost.tolist()}")


def _not_finite(record: Any) -> str:
    """The name of the first field of a record that holds no number where there should be one, nothing if all do."""
    for name, value in _parts(record):
        if isinstance(value, Tensor):
            if value.is_floating_point() and not bool(value.isfinite().all()):
                return name
        elif inner := _not_finite(value):
            return f"{name}.{inner}"
    return ""


def _parts(record: Any) -> list[tuple[str, Any]]:
    """The fields of a record, or the places of a tuple; of anything else nothing."""
    if isinstance(record, tuple):
        return [(str(place), value) for place, value in enumerate(record)]
    if is_dataclass(record):
        return [(field.name, vars(record)[field.name]) for field in fields(record)]
    return []


def main() -> int:
    """Soak every registered environment with its share of the agent-steps that the command line names."""
    torch.set_num_threads(1)
    names = config_files.names("env")
    share = int(float(sys.argv[1] if len(sys.argv) > 1 else "1e7")) // len(names)
    for name in names:
        found = soak(name, share)
        print(
            f"{name}: {found.agent_steps:,} agent-steps in {found.slots:,} slots, {found.seconds:.0f} s, "
            f"{found.unconverged} power flows did not converge",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(exit_on_error(main))
