"""What the scripted aggregator pays for zones: modes against the recursion itself, bids against the optimum."""

from __future__ import annotations

import math

import pytest
import torch

from baselines import catalog
from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.devices import zone_bid
from totalflex_env.devices.circuit import Circuit, solve
from totalflex_env.engine.build import World, build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.rollout import Trace, rollout
from totalflex_env.types import Episode, Policy

CIRCUITS = {
    "office": Circuit(15.0, 46.0, 1 / 22.75, 1 / 0.2, 1 / 0.4, heat_share=0.8),
    "mass that loses much": Circuit(1.0, 10.0, 0.1, 2.0, 20.0, heat_share=0.3),
    "tank": Circuit(0.23, 1.0, math.inf, math.inf, 700.0, heat_share=1.0),
}
NO_DEVICES = [f"--devices.{kind}.count=0" for kind in ("ev", "battery", "heat_pump", "freezer", "dishwasher")]
SURE = ["--wind.share=0", "--forecast.load.deviation=0"]
SURE += [f"--forecast.{what}.{field}" for what in ("pv", "temperature") for field in ("deviation=0", "memory_h=1")]
OFFICE = ["--devices.office.count=1", "--devices.office.area_m2=300", "--devices.office.power_kw=6"]
WORLDS = {
    "office": OFFICE,
    "office in summer": [*OFFICE, "--scenario.months=[6, 7, 8]"],
    "hot water": ["--devices.hot_water.count=1"],
    "heavy house": ["--devices.heavy_house.count=1"],
}


@pytest.mark.parametrize("name", CIRCUITS)
def test_the_slow_mode_moves_by_itself_and_tells_the_air(name: str) -> None:
    kept, gains = solve(CIRCUITS[name], 0.25)
    modes = zone_bid.modes(kept[..., None])
    slow, drive = modes.slow[:, 0], gains @ torch.tensor([5.0, 0.1, 0.4], dtype=torch.float64)
    state = torch.tensor([23.0, 19.0], dtype=torch.float64)
    assert float(slow.sum()) == pytest.approx(1.0)
    assert float(slow @ (kept @ state + drive)) == pytest.approx(float(modes.kept * (slow @ state) + slow @ drive))
    if math.isfinite(CIRCUITS[name].inner_k_per_kw):
        at_rest = torch.linalg.solve(torch.eye(2, dtype=torch.float64) - kept, drive)
        air = modes.of_slow * (slow @ at_rest) + modes.of_coming[:, 0] @ drive
        assert float(air) == pytest.approx(float(at_rest[0]))


@pytest.mark.parametrize("name", WORLDS)
def test_on_sure_days_most_of_what_can_be_saved_is_saved(name: str) -> None:
    """Following the spot price saves four fifths of what the optimum does."""
    world = build(load(EnvConfig, "house", "env", [*NO_DEVICES, *SURE, *WORLDS[name]]))
    episode = draw(world, range(700, 706))
    default = _run(world, episode, catalog.make("default_schedule")).cost().sum()
    best = default - catalog.foresight(world.params, episode).cost_eur.sum()
    trace = _run(world, episode, catalog.make("price_greedy"))
    assert float(best) > 0.3
    assert 0.8 * float(best) < float(default - trace.cost().sum()) <= float(best) + 1e-6
    assert float(trace.outcomes.degree_hours.sum()) < 1.0


def _run(world: World, episode: Episode, policy: Policy) -> Trace:
    return rollout(world.params, nominate(world.params, episode, policy), policy)
