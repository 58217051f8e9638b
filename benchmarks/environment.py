"""The environment: agent-steps per second of processor time, steps of a single one, memory, and where time goes.

An agent-step is a row times an agent that receives an observation and an action in a slot; here all roles learn. Market
clearing and AC power flow are in the loop. Batches are float32 and live through one day with random actions. Days are
drawn for a few rows and repeated: the engine does not know the difference.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.figures import Figure, cpu_seconds
from totalflex_env import batch
from totalflex_env.engine import observe, roles, step
from totalflex_env.engine.build import draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.envs import worlds
from totalflex_env.envs.parallel import parallel_env
from totalflex_env.types import Episode, Params

DRAWN = 32  # rows whose days are drawn
MINIMUM = {"street": 500_000, "village": 100_000, "house": 100_000, "office_industry": 100_000, "town": 100_000}
ROWS = {"street": 4096, "village": 2048, "house": 16384, "office_industry": 2048, "town": 1024}
SINGLE_DAYS = 8  # the first is not counted; the others differ by as much as the machine is otherwise busy
SINGLE_STEPS = 300  # a second, the target of one environment in PettingZoo's parallel view
MEMORY_MB = 1000  # the target per thousand environments: a laptop holds several thousand


def figures(full: bool) -> Iterator[Figure]:
    """Measure throughput, memory and the single environment; of the street and the village, or of all scenarios."""
    torch.set_num_threads(1)
    for name in MINIMUM if full else ("street", "village"):
        yield from _batch(name)
    for name in ("street", "village", "house") if full else ("street",):
        rate = _single(name)
        yield Figure(f"env_steps_per_s:{name}_single", rate, "1/s", "higher", SINGLE_STEPS)


def _batch(name: str) -> Iterator[Figure]:
    simulator = worlds.make_simulator(name, torch.float32)
    params, rows = simulator.world.params, ROWS[name]
    few = nominate(params, draw(simulator.world, range(DRAWN)), simulator.nominator)
    episode = batch.take_rows(few, torch.arange(rows) % DRAWN)
    agents, devices = len(params.node) + params.aggregators + 2, len(params.house)
    _live(params, episode, slots=2)
    seconds = _live(params, episode, slots=episode.nomination_kwh.shape[1])
    megabytes = _bytes(params, episode) / rows * 1000 / 1e6
    yield Figure(f"agent_steps_per_cpu_s:{name}", rows * agents / seconds, "1/s", "higher", MINIMUM[name])
    yield Figure(f"memory_mb_per_1000_envs:{name}", megabytes, "MB", "lower", MEMORY_MB)
    print(f"  {name}, {rows} rows: {rows / seconds:,.0f} env-steps/s, {rows * devices / seconds:,.0f} device-steps/s")
    _print_profile(simulator, episode, seconds / rows)


def _live(params: Params, episode: Episode, slots: int) -> float:
    """Return the seconds of processor time that a slot takes, all rows together."""
    rows, generator = len(episode.nomination_kwh), torch.Generator().manual_seed(0)
    controls = batch.map_tensors(
        roles.neutral(params, rows), lambda zeros: torch.rand(zeros.shape, generator=generator) * 2.0 - 1.0
    )
    state = step.start(params, episode)
    began = time.process_time()
    for _ in range(slots):
        now = step.situation(params, episode, state)
        observe.observe(now)
        state, _, _ = step.step(episode, now, roles.action(now, controls))
    return (time.process_time() - began) / slots


def _print_profile(simulator: Any, episode: Episode, seconds: float) -> None:
    """Print what the parts of a step cost in the middle of the day, and what a reset costs beside it."""
    params, rows, slots = simulator.world.params, len(episode.nomination_kwh), episode.nomination_kwh.shape[1]
    controls = roles.neutral(params, rows)
    state = step.start(params, episode)
    for _ in range(slots // 2):
        now = step.situation(params, episode, state)
        state, _, _ = step.step(episode, now, roles.action(now, controls))
    now = step.situation(params, episode, state)
    action = roles.action(now, controls)
    decision = step.decide(now, action)
    net = step.connection(params, episode, state.slot, decision.energy_kwh)
    delivered = decision.energy_kwh, net.total()
    parts: dict[str, Callable[[], object]] = {
        "limits and forecast": lambda: step.situation(params, episode, state),
        "observe": lambda: observe.observe(now),
        "bids": lambda: roles.action(now, controls),
        "book and clear": lambda: step.decide(now, action),
        "advance": lambda: step.moved(params, episode, state, decision, delivered),
        "power flow": lambda: step.solve_grid(params, net),
        "realise, with advance, power flow and settlement": lambda: step.realise(params, episode, state, decision),
    }
    print(f"  {'part of a step':<50} us per row (one slot: {seconds * 1e6:.1f})")
    for part, run in parts.items():
        print(f"  {part:<50} {cpu_seconds(run) / rows * 1e6:>10.2f}")
    began = time.process_time()
    nominate(params, episode, simulator.nominator)
    print(f"  {'nominate, of a whole day':<50} {(time.process_time() - began) / rows * 1e6:>10.2f}")
    drawn = cpu_seconds(lambda: draw(simulator.world, range(DRAWN)), 1) / DRAWN
    print(f"  {'draw, of a whole day':<50} {drawn * 1e6:>10.2f}")


def _bytes(params: Params, episode: Episode) -> int:
    """Return how much memory an episode and what a step makes of it hold."""
    state = step.start(params, episode)
    now = step.situation(params, episode, state)
    kept = [episode, step.step(episode, now, roles.action(now, roles.neutral(params, len(episode.nomination_kwh))))]
    storages: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    for record in (kept[0], *kept[1]):  # type: ignore[misc]
        batch.map_tensors(record, count)
    return sum(storages.values())


def _single(name: str) -> float:
    """Return the steps a second of one environment in PettingZoo's parallel view, with random actions, median of days.

    On the day before, which is not counted, code is compiled and the slots are recorded that are then played.
    """
    env = parallel_env(name)
    env.reset(seed=0)
    generator = np.random.default_rng(0)
    shapes = {agent: env.action_space(agent).shape for agent in env.agents}
    actions = {agent: np.asarray(generator.uniform(-1.0, 1.0, shape), np.float32) for agent, shape in shapes.items()}
    rates = []
    for seed in range(SINGLE_DAYS):
        env.reset(seed=seed)
        began, steps = time.process_time(), 0
        while env.agents:
            env.step(actions)
            steps += 1
        rates.append(steps / (time.process_time() - began))
    slowest, fastest = min(rates[1:]), max(rates[1:])
    print(
        f"  {name}, a single environment: {rates[0]:.0f} steps/s on the first day, then {slowest:.0f} to {fastest:.0f}"
    )
    return statistics.median(rates[1:])
