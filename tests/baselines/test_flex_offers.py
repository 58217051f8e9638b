"""The whole life-cycle of flex-offers, from devices to the ledger, by the classical pipeline."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from baselines.catalog import make
from baselines.flex_offers import ALONE
from baselines.scheduling import Scene, evolve, greedy
from totalflex_env.batch import take_rows
from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.devices.offering import fixed
from totalflex_env.engine.build import build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.rollout import Trace, rollout
from totalflex_env.flexoffer.aggregate import aggregate
from totalflex_env.flexoffer.offers import tighten


def run(environment: str, name: str, seeds: list[int]) -> Trace:
    world, policy = build(load(EnvConfig, environment, "env")), make(name)
    return rollout(world.params, nominate(world.params, draw(world, seeds), policy), policy)


def test_tiny_is_solved_to_the_optimum() -> None:
    """The vehicle takes the two cheapest slots and the dishwasher its cheapest start: 1.077 EUR, as solved by hand."""
    assert run("tiny", "flex_offers", [0]).cost().item() == pytest.approx(1.077, abs=1e-6)


def test_evolution_finds_what_greed_misses() -> None:
    """Two machines, room for one: greed puts the light one into the cheap slot, where the heavy one belongs."""
    profile = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    offers = fixed(0, torch.tensor([0, 1]), torch.tensor([1, 1]), profile)
    offers = tighten(replace(offers, latest=torch.tensor([1, 1])))
    scene = Scene(torch.tensor([0.1, 0.3]).double(), torch.full((2,), 2.5).double(), 10.0)
    first, taken = greedy(aggregate(offers, ALONE), scene, torch.zeros(2).double())
    assert scene.cost(taken) == pytest.approx(0.1 * 1.0 + 0.3 * 2.0)
    evolve([first], scene, 40, seed=1)
    together = first.load(0, 2) + first.load(1, 2)
    assert scene.cost(together) == pytest.approx(0.1 * 2.0 + 0.3 * 1.0)


def test_offers_of_a_house_are_assigned_executed_and_settled() -> None:
    days = list(range(8))
    default, traded = run("house", "default_schedule", days), run("house", "flex_offers", days)
    assert bool((traded.cost() < default.cost()).all())
    assert traded.outcomes.unmet_kwh.abs().max() < 1e-9
    assert torch.all(traded.outcomes.ledger.balance.sum(dim=2) == 0)
    assert traded.decisions.award_mwh.abs().sum() > 0


@pytest.mark.parametrize("room_kwh", [0.0, 3.0, 8.0, 100.0])
def test_answers_that_are_asked_for_together_are_those_of_one_after_the_other(room_kwh: float) -> None:
    """Twelve machines with random prices, room for none, a few, many and all of them at once."""
    rng = torch.Generator().manual_seed(3)
    profile = 0.5 + torch.rand(12, 2, generator=rng, dtype=torch.float64)
    offers = fixed(0, torch.arange(12), torch.full((12,), 2), profile)
    offers = tighten(replace(offers, latest=torch.full((12,), 6)))
    spot = torch.rand(8, generator=rng, dtype=torch.float64)
    scene = Scene(spot, torch.full((8,), room_kwh).double(), 1.0)
    taken = torch.zeros(8).double()
    for index in range(12):
        _, taken = greedy(aggregate(take_rows(offers, torch.tensor([index])), ALONE), scene, taken)
    _, together = greedy(aggregate(offers, ALONE), scene, torch.zeros(8).double())
    torch.testing.assert_close(together, taken)
