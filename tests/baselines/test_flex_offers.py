"""The whole life-cycle of flex-offers, from devices to the ledger, by the classical pipeline."""

from __future__ import annotations

import pytest
import torch

from baselines.catalog import make
from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.engine.build import build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.rollout import Trace, rollout


def run(environment: str, name: str, seeds: list[int]) -> Trace:
    world, policy = build(load(EnvConfig, environment, "env")), make(name)
    return rollout(world.params, nominate(world.params, draw(world, seeds), policy), policy)


def test_tiny_is_solved_to_the_optimum() -> None:
    """The vehicle takes the two cheapest slots and the dishwasher its cheapest start: 1.077 EUR, as solved by hand."""
    assert run("tiny", "flex_offers", [0]).cost().item() == pytest.approx(1.077, abs=1e-6)


def test_offers_of_a_house_are_assigned_executed_and_settled() -> None:
    days = list(range(8))
    default, traded = run("house", "default_schedule", days), run("house", "flex_offers", days)
    assert float(traded.cost().sum()) < float(default.cost().sum())
    assert traded.outcomes.unmet_kwh.abs().max() < 1e-9
    assert torch.all(traded.outcomes.ledger.balance.sum(dim=2) == 0)
    assert traded.decisions.award_mwh.abs().sum() > 0
