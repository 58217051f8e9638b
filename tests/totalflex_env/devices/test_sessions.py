"""What may be known of sessions, and which of them counts."""

from __future__ import annotations

import torch

from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.devices.sessions import Sessions, coming, known
from totalflex_env.engine.build import build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.roles import ScriptedPolicy
from totalflex_env.engine.rollout import rollout


def sessions(*each: tuple[int, int, float]) -> Sessions:
    """Return the sessions of one charger: arrival, departure and need."""
    columns = [torch.tensor(column)[None, :, None] for column in zip(*each)]
    return Sessions(columns[0], columns[1], columns[2].double(), torch.zeros(1, len(each), 1, dtype=torch.float64))


def test_who_stays_longer_than_the_next_was_expected_is_not_forgotten() -> None:
    """The first vehicle is there from 2 to 17; a second one was expected from 10 to 13 and does not come."""
    actual, expected = sessions((2, 17, 24.0), (40, 44, 9.0)), sessions((1, 5, 5.0), (10, 13, 5.0))
    for slot in range(2, 17):
        now = known(actual, expected, (slot, 96), torch.tensor([2.75], dtype=torch.float64))
        there = coming(now, slot)
        assert (int(there.arrival), int(there.departure), float(there.need_kwh)) == (2, 17, 24.0), slot
        assert (now.arrival == slot).any() == (slot == 2), "nobody else begins, with a store of their own"


def test_vehicles_that_share_a_connection_leave_with_what_they_need() -> None:
    """Who needs more than the fair share of a connection charges while others can wait."""
    world = build(load(EnvConfig, "office_industry", "env"))
    episode, policy = draw(world, range(3)), ScriptedPolicy()
    trace = rollout(world.params, nominate(world.params, episode, policy), policy)
    assert float(trace.outcomes.unmet_kwh.sum()) < 1.0
