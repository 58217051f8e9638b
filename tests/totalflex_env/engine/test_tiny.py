"""The world `tiny`, solved by hand.

Two houses, four quarter-hours, nothing uncertain. Spot prices 0.30 0.10 0.20 0.40 EUR/kWh. Without devices the houses
use 0.75 0.75 0.75 0.75 kWh and the second roof produces 0 0.25 0.25 0, so 0.75 0.50 0.50 0.75 kWh cost
0.225 + 0.05 + 0.10 + 0.30 = 0.675 EUR. A vehicle (1 kWh per slot) needs 2 kWh within the four slots; a dishwasher takes
0.5 then 0.25 kWh, is ready at once, may start in slots 0 to 2 and costs 0.002 EUR for every slot it waits.

Default: the vehicle charges in slots 0 and 1 (0.30 + 0.10), the dishwasher starts at once (0.15 + 0.025): 1.25 EUR.
Optimum: the vehicle charges in slots 1 and 2 (0.10 + 0.20), the dishwasher starts in slot 1 (0.05 + 0.05 + 0.002):
1.077 EUR. Starting it in slot 0 would cost 0.175, in slot 2 it would cost 0.10 + 0.10 + 0.004.
The nomination is what each of them then does, so nobody pays for an imbalance.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.engine.build import World, build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.roles import ScriptedPolicy
from totalflex_env.engine.rollout import Trace, rollout
from totalflex_env.engine.scripted import follow, untraded
from totalflex_env.types import Action, Policy, Situation

VEHICLE, DISHWASHER = 0, 1


class Default:
    """Leaves every device to its own controller."""

    def reset(self, situation: Situation) -> None:
        pass

    def act(self, situation: Situation) -> Action:
        return untraded(situation, situation.default)


class Plan:
    """Follows given energies [T, N] through the market."""

    def __init__(self, energy: Tensor) -> None:
        self.energy = energy

    def reset(self, situation: Situation) -> None:
        pass

    def act(self, situation: Situation) -> Action:
        return follow(situation, self.energy[situation.state.slot].expand_as(situation.lower))


@pytest.fixture(scope="module")
def world() -> World:
    return build(load(EnvConfig, "tiny", "env"))


def run(world: World, policy: Policy) -> Trace:
    return rollout(world.params, nominate(world.params, draw(world, [0]), policy), policy)


def test_default_schedules(world: World) -> None:
    trace = run(world, Default())
    assert trace.outcomes.energy_kwh[0, :, VEHICLE].tolist() == [1.0, 1.0, 0.0, 0.0]
    assert trace.outcomes.energy_kwh[0, :, DISHWASHER].tolist() == [0.5, 0.25, 0.0, 0.0]
    assert trace.cost().item() == pytest.approx(1.25, abs=1e-9)


def test_optimum(world: World) -> None:
    trace = run(world, Plan(torch.tensor([[0.0, 0.0], [1.0, 0.5], [1.0, 0.25], [0.0, 0.0]], dtype=torch.float64)))
    assert trace.cost().item() == pytest.approx(1.077, abs=1e-6)
    assert trace.outcomes.costs.discomfort.sum().item() == pytest.approx(0.002, abs=1e-12)


def test_scripted_aggregator_finds_the_optimum(world: World) -> None:
    assert run(world, ScriptedPolicy()).cost().item() == pytest.approx(1.077, abs=1e-6)


def test_who_pays_whom_at_the_optimum(world: World) -> None:
    """The twins charge 1 kWh in slots 0 and 1 and wash 0.5, 0.25 kWh; deviations sum to zero for both.

    Houses pay the BRP the spot price for base load less PV (0.675 EUR) and the twins (0.30 + 0.10 + 0.15 + 0.025 EUR).
    The BRP expects no imbalance, so the last unit costs it the mean of the up price (spot + 0.10) and the down price
    (spot - 0.05), give or take half a step of its curve; the energy it buys is exactly what it nominated.
    """
    plan = Plan(torch.tensor([[0.0, 0.0], [1.0, 0.5], [1.0, 0.25], [0.0, 0.0]], dtype=torch.float64))
    trace = run(world, plan)
    award = trace.decisions.award_mwh[0].sum(dim=0)
    assert award.tolist() == [0, 0]
    balance = trace.outcomes.ledger.balance[0].sum(dim=0)
    assert balance.sum().item() == 0
    wholesale = balance[-1].item() / 1e6
    assert wholesale == pytest.approx(1.075, abs=1e-5)
    deviation = trace.decisions.award_mwh[0].double().sum(dim=1) / 1e6
    price = trace.decisions.balance_price[0].double() / 1e6
    traded = (deviation * price).sum().item()
    retail = 0.675 + 0.30 + 0.10 + 0.15 + 0.025
    assert balance[3].item() / 1e6 == pytest.approx(retail + traded - wholesale, abs=1e-5)
    assert balance[2].item() / 1e6 == pytest.approx(-0.2 * traded, abs=1e-5)
