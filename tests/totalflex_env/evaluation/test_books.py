"""Books: the log of a simulated day, replayed from its text, agrees to the last micro-EUR; so does a whole year."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from totalflex_env import batch
from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.engine.build import World, build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.roles import ScriptedPolicy
from totalflex_env.engine.rollout import Trace, rollout
from totalflex_env.engine.scripted import Untraded
from totalflex_env.errors import DataError
from totalflex_env.evaluation.books import disputes, log, replay, statements
from totalflex_env.market.settlement import residual
from totalflex_env.types import Episode, Policy


@pytest.fixture(scope="module")
def world() -> World:
    """The house of every kind of device beside twelve without, with two aggregators."""
    return build(load(EnvConfig, "house", "env", ["--aggregators=2"]))


def lived(world: World, policy: Policy, seeds: list[int]) -> tuple[Episode, Trace]:
    episode = nominate(world.params, draw(world, seeds), policy)
    return episode, rollout(world.params, episode, policy)


@pytest.mark.parametrize("traded", [True, False])
def test_a_day_is_recomputed_from_messages_and_meters_alone(world: World, traded: bool) -> None:
    policy = ScriptedPolicy() if traded else Untraded(lambda now: now.upper)
    episode, trace = lived(world, policy, [3])
    text = "\n".join(log(statements(world.params, episode, trace), traded))
    books = replay(world.params, text.splitlines())
    assert torch.equal(books.ledger.balance, trace.outcomes.ledger.balance[0])
    assert torch.equal(books.ledger.turnover, trace.outcomes.ledger.turnover[0])
    assert sum(abs(entry.micro_eur) for entry in books.entries) == int(books.ledger.turnover.sum())
    assert {"retail", "balance", "shared"} <= {entry.purpose for entry in books.entries} or not traded


def test_a_year_of_days_leaves_no_micro_euro(world: World) -> None:
    """365 days in the tiny world, whose bookings are those of any world: 365 x 4 slots, each summing to exactly 0."""
    tiny = build(load(EnvConfig, "tiny", "env"))
    _, trace = lived(tiny, ScriptedPolicy(), list(range(365)))
    balance = trace.outcomes.ledger.balance
    assert balance.dtype == torch.int64 and not balance.sum(2).any()
    assert balance.flatten(0, 1).sum(0).sum() == 0 and bool(balance.any())


@pytest.mark.slow
def test_a_year_of_a_street_leaves_no_micro_euro() -> None:
    world = build(load(EnvConfig, "street", "env", ["--aggregators=3"]))
    years = torch.zeros(len(world.params.node) + 3 + 3, dtype=torch.int64)
    for month in range(0, 365, 73):
        _, trace = lived(world, ScriptedPolicy(), list(range(month, month + 73)))
        assert not residual(batch.map_tensors(trace.outcomes.ledger, lambda tensor: tensor.flatten(0, 1))).any()
        years += trace.outcomes.ledger.balance.sum((0, 1))
    assert int(years.sum()) == 0 and bool(years.all())


def test_a_changed_meter_is_found_as_a_dispute(world: World) -> None:
    episode, trace = lived(world, ScriptedPolicy(), [3])
    said = statements(world.params, episode, trace)
    metered = said.metered.clone()
    metered[40, 2] += 1_000
    ours, theirs = (replay(world.params, log(each, True)) for each in (said, replace(said, metered=metered)))
    found = disputes(ours, theirs)
    assert disputes(ours, ours) == []
    assert {(b or a).slot for a, b in found if a or b} == {40}  # type: ignore[union-attr]
    assert any("meter-40-2" in (b or a).messages for a, b in found)  # type: ignore[union-attr]


def test_what_is_wrong_with_a_log_is_said(world: World) -> None:
    episode, trace = lived(world, ScriptedPolicy(), [3])
    lines = log(statements(world.params, episode, trace), True)
    meter = next(line for line in lines if '"meter"' in line)
    cases = {
        "no second meter beside meter-0-0": [*lines, meter],
        "meter = nothing: expected one for slot 0 and house 0": [line for line in lines if line != meter],
        "log, line 1: meter.devices_mwh": [json.dumps(json.loads(meter) | {"devices_mwh": 0.5})],
        "log, line 1: message": ["not a message"],
        "a price for each of 13 houses": [line.replace('"grid_price": [', '"grid_price": [0, ') for line in lines],
        "messages = 0: expected at least one": [],
    }
    for text, bad in cases.items():
        with pytest.raises(DataError) as caught:
            replay(world.params, bad)
        assert text in str(caught.value)
