"""After a clearing in which every device asks for all it can take at any price, the DSO keeps the transformer whole."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from totalflex_env import config_files
from totalflex_env.config import EnvConfig
from totalflex_env.engine import scripted
from totalflex_env.engine.build import build
from totalflex_env.engine.curtail import curtail
from totalflex_env.engine.roles import ScriptedPolicy
from totalflex_env.engine.simulator import Simulator
from totalflex_env.engine.step import decide, realise
from totalflex_env.envs.spaces import by_role
from totalflex_env.grid import solvers
from totalflex_env.types import Decision, Situation

CURTAILED = "--constraints=[project, penalty, curtail]"


def evening(*overrides: str) -> Simulator:
    """A village at 17:30 on four winter days, vehicles at home."""
    village = config_files.load(EnvConfig, "village", "env", ["--scenario.start_hour=17", *overrides])
    simulator = Simulator(build(village), ScriptedPolicy())
    simulator.reset(range(4))
    for _ in range(2):
        simulator.step(scripted.follow(simulator.situation(), simulator.situation().lower))
    return simulator


def greedy(now: Situation) -> Decision:
    """What is decided when every device wants all that it can take, whatever it costs, and the DSO sets wide limits."""
    action = scripted.follow(now, now.upper)
    return decide(now, replace(action, dso_share=2.0 * action.dso_share))


@pytest.fixture(scope="module")
def free() -> Simulator:
    return evening()


@pytest.fixture(scope="module")
def kept() -> Simulator:
    return evening(CURTAILED)


def test_what_is_too_much_is_cut_and_no_more_is_paid_for(free: Simulator, kept: Simulator) -> None:
    asked, left = greedy(free.situation()), greedy(kept.situation())
    assert not asked.curtailed_kwh.any()
    torch.testing.assert_close((asked.energy_kwh - left.energy_kwh).sum(dim=1), left.curtailed_kwh)
    assert (left.energy_kwh <= asked.energy_kwh + 1e-9).all() and (left.energy_kwh >= left.lower - 1e-9).all()
    assert ((left.energy_kwh - left.position_kwh) * 1e6 - left.award_mwh).abs().max() <= 1.0
    loading = []
    for simulator, decision in ((free, asked), (kept, left)):
        _, outcome = realise(simulator.world.params, simulator.episode, simulator.state, decision)
        loading.append(outcome.flow.loading.amax(dim=1))
        roles = [earned.flatten(1).sum(dim=1) for earned in by_role(outcome.rewards).values()]
        torch.testing.assert_close(sum(roles), -outcome.costs.total(), rtol=0.0, atol=1e-3)
    assert (loading[0] > 1.5).all()
    assert (loading[1] < 1.0).all() and (loading[1] > 0.85).all()


@pytest.mark.parametrize("side", ["low", "high"])
def test_voltages_outside_the_band_are_relieved_by_those_who_move_them(kept: Simulator, side: str) -> None:
    """With a band as narrow as half of what devices can do to the lowest voltage, and no limit on any element.

    Devices far out on the feeder move most. Low voltages are relieved by less consumption, high ones by more.
    """
    now = _without_elements(kept.situation())
    asked, other = (now.upper, now.lower) if side == "low" else (now.lower, now.upper)
    reached = [voltages(now, energy) for energy in (asked, other)]
    node = int((reached[1] - reached[0]).abs().amax(dim=0).argmax())
    bound = (reached[0] + reached[1])[:, node].mean() / 2.0
    field = "voltage_lower" if side == "low" else "voltage_upper"
    limits = vars(now.params.grid)[field].clone()
    limits[node] = bound
    narrow = replace(now, params=replace(now.params, grid=replace(now.params.grid, **{field: limits})))
    left = curtail(narrow, asked)
    sign = 1.0 if side == "low" else -1.0
    lacked, beyond = (sign * (voltages(now, energy)[:, node] - bound) for energy in (asked, left))
    assert (lacked < -5e-3).all() and (beyond > -1e-5).all()
    assert (beyond < -0.15 * lacked).all(), "hardly more is cut than needed"
    assert (left >= now.lower - 1e-9).all() and (left <= now.upper + 1e-9).all()


def _without_elements(now: Situation) -> Situation:
    """The same situation in a grid whose elements carry everything."""
    return replace(now, params=replace(now.params, limited=now.params.limited[:0], members=now.params.members[:0]))


def voltages(now: Situation, energy: torch.Tensor) -> torch.Tensor:
    """The voltages [B, M] of the expected grid when the devices take this energy [B, N]."""
    params, expected = now.params, now.expected
    house = (expected.base_kwh - expected.pv_kwh).index_add(1, params.house, energy)
    nodes = energy.new_zeros(len(energy), len(params.grid.node_names))
    active, reactive = (
        nodes.index_add(1, params.node, part / params.slot_hours) for part in (house, expected.base_kvarh)
    )
    return solvers.solve(params.grid, active, reactive).voltage


def test_a_grid_within_its_ratings_is_left_alone(kept: Simulator) -> None:
    now = kept.situation()
    assert torch.equal(curtail(now, now.lower), now.lower)
