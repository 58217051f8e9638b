"""The optimisers: how long they take for a day, and how well the engine does what they planned.

Times are elapsed seconds of one thread. The replay share is what the engine charges for a plan beyond what the plan
says, over what the plan saves against the default schedule.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from baselines import catalog
from baselines.foresight import ForesightPlan, foresight
from benchmarks.figures import Figure
from benchmarks.large_fleet import large
from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.engine.build import World, build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.rollout import Trace, rollout
from totalflex_env.types import Episode

FORESIGHT_S = {"street": 10.0, "village": 60.0}
ROLLING_S = {"street": 40.0, "village": 120.0}
DECOMPOSED_S, DEVICES = 120.0, 10_000
REPLAY = 0.02
SEED = 700


def figures(full: bool) -> Iterator[Figure]:
    """Measure one day of `street` and the large fleet, in the full form also `village`."""
    for name in ("street", "village") if full else ("street",):
        yield from _scenario(name)
    yield from _large()


def _scenario(name: str) -> Iterator[Figure]:
    world = build(load(EnvConfig, name, "env"))
    episode = draw(world, [SEED])
    begun = time.perf_counter()
    plan = foresight(world.params, episode)
    yield Figure(f"foresight_s:{name}", time.perf_counter() - begun, "s", "lower", FORESIGHT_S[name])
    yield Figure(f"replay_share:{name}", _replay_share(world, episode, plan), "", "lower", REPLAY)
    begun = time.perf_counter()
    _run(world, episode, "rolling_milp")
    yield Figure(f"rolling_s_per_day:{name}", time.perf_counter() - begun, "s", "lower", ROLLING_S[name])


def _large() -> Iterator[Figure]:
    params, episode = large(DEVICES)
    begun = time.perf_counter()
    plan = foresight(params, episode)
    yield Figure(f"decomposed_s:{DEVICES}", time.perf_counter() - begun, "s", "lower", DECOMPOSED_S)
    yield Figure(f"decomposed_gap:{DEVICES}", float(plan.mip_gap.amax()), "", "lower", 1e-3)


def _replay_share(world: World, episode: Episode, plan: ForesightPlan) -> float:
    saved = _run(world, episode, "default_schedule").cost() - plan.cost_eur
    return float(((plan.cost_eur - plan.planned_cost_eur).abs() / saved).amax())


def _run(world: World, episode: Episode, name: str) -> Trace:
    policy = catalog.make(name)
    return rollout(world.params, nominate(world.params, episode, policy), policy)
