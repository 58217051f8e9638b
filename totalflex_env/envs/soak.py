"""Random actions of all roles for as long as one likes: nothing may leave what is possible, or go uncounted.

`python -m totalflex_env.envs.soak 1e7` spreads so many agent-steps over all registered environments, each of them as it
is and once more with houses and devices that come and go.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from totalflex_env import config_files
from totalflex_env.config import EnvConfig, PopulationConfig
from totalflex_env.devices.storage import Storage
from totalflex_env.engine.roles import ROLES
from totalflex_env.envs import spaces
from totalflex_env.envs.batched import Batch, Setup, Slot
from totalflex_env.envs.worlds import Environment
from totalflex_env.errors import PhysicsError, exit_on_error
from totalflex_env.market.settlement import residual

ROWS = 256
"""Most days at a time; fewer where the agent-steps would not last them to their end."""
ROUNDING_EUR = 1e-3
"""Of prices and energies to millionths, in the sum of all roles' money of a slot, for each MWh that is traded in it."""
SOME = PopulationConfig(houses=(0.0, 1.0), devices=(0.0, 1.0))
EMPTY_KWH = 1e-4
"""Rounding of a store of some tens of kWh in single precision."""


@dataclass(frozen=True)
class Soaked:
    """What was gone through."""

    agent_steps: int
    slots: int  # rows times slots
    unconverged: int  # power flows among them
    seconds: float  # of processor time


def soak(env: Environment, agent_steps: int, rows: int | None = None, dtype: torch.dtype = torch.float32) -> Soaked:
    """Step all roles of some days, `rows` at a time, with random actions, some out of bounds, for so many agent-steps.

    Anything that is no number, a store below empty, a ledger that does not balance, or money that is not minus the
    system cost is a PhysicsError.
    """
    batch, began = Batch(env, ROLES, Setup(dtype=dtype)), time.process_time()
    rows = rows or min(ROWS, max(1, agent_steps // (sum(batch.agents.values()) * batch.config.slots)))
    generator = torch.Generator().manual_seed(0)
    taken = slots = unconverged = seed = 0
    while taken < agent_steps:
        batch.reset(range(seed, seed + rows))
        seed += rows
        done, acting = False, sum(int(there.sum()) for there in batch.there().values())
        while not done and taken < agent_steps:
            idle = spaces.by_role(batch.idle)
            actions = {role: 2.2 * torch.rand(zeros.shape, generator=generator) - 1.1 for role, zeros in idle.items()}
            slot = batch.step({role: values.to(dtype) for role, values in actions.items()})
            check(batch, slot)
            done = slot.done
            taken += acting
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
    whole = [config_files.load(EnvConfig, name, "env") for name in config_files.names("env")]
    some = [config.model_copy(update={"name": f"{config.name}, some there", "population": SOME}) for config in whole]
    share = -(-int(float(sys.argv[1] if len(sys.argv) > 1 else "1e7")) // (2 * len(whole)))
    every = []
    for config in (*whole, *some):
        every.append(found := soak(config, share))
        print(f"{config.name}: {_told(found)}", flush=True)
    totals = [sum(column) for column in zip(*(vars(found).values() for found in every))]
    print(f"all: {_told(Soaked(*totals))}")
    print("everywhere a number, no store below empty, all ledgers balanced, all money minus the system cost")
    return 0


def _told(found: Soaked) -> str:
    """What was gone through, as a line."""
    return (
        f"{found.agent_steps:,} agent-steps in {found.slots:,} slots, {found.seconds:.0f} s of processor time, "
        f"{found.unconverged} power flows did not converge"
    )


if __name__ == "__main__":
    sys.exit(exit_on_error(main))
