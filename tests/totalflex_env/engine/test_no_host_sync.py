"""A step reads nothing back from the device.

Tensors on the device "meta" have shapes and types but no numbers. A step that runs on them decides nothing in Python by
what is in a tensor, and mixes in no tensors of the CPU: on a GPU nobody has to wait for it.
"""

from __future__ import annotations

import pytest
import torch

from totalflex_env import batch
from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.engine import observe, roles, step
from totalflex_env.engine.build import build, draw
from totalflex_env.types import Episode, Params


def without_numbers(name: str) -> tuple[Params, Episode]:
    """A world and two of its episodes: shapes, types and a device, but no numbers."""
    world = build(load(EnvConfig, name, "env"), torch.float32)
    params, episode = world.params, draw(world, [1, 2])
    return batch.to(params, device="meta"), batch.to(episode, device="meta")


@pytest.mark.parametrize("name", ["street", "office_industry"])
def test_a_step_runs_without_numbers(name: str) -> None:
    params, episode = without_numbers(name)
    state = step.start(params, episode)
    for _ in range(2):
        now = step.situation(params, episode, state)
        seen = observe.observe(now)
        action = roles.action(now, roles.neutral(params, len(now.lower)))
        state, decision, outcome = step.step(episode, now, action)
    for tensor in (seen.aggregator, decision.energy_kwh, outcome.flow.voltage, outcome.ledger.balance):
        assert tensor.is_meta


def test_a_fetched_number_is_noticed() -> None:
    with pytest.raises(RuntimeError):
        float(torch.ones(3, device="meta").sum())
