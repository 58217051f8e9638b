"""Imbalance: corrections of positions by hand and in general, and what a single price does to nominations.

Two suppliers, 0 and 1, and three houses, of which the last is supplied by 1. Houses 0 and 2 were called by 1 and by 0
to consume 3 kWh less and 2 kWh more. Supplier 0 is credited -3 (house 0) and gives the 2 that it bought at house 2: -5;
supplier 1 is credited +2 and gives the -3 that it bought: +5.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from baselines.foresight import FollowPlan, foresight
from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.engine.build import World, build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.roles import ScriptedPolicy
from totalflex_env.engine.rollout import rollout
from totalflex_env.engine.scripted import Untraded
from totalflex_env.market.imbalance import adjustments, imbalances


@pytest.fixture(scope="module")
def nordic() -> World:
    return build(load(EnvConfig, "house", "env", ["--market.imbalance=single_price"]))


def test_two_suppliers_by_hand() -> None:
    activated = torch.tensor([[-3, 0, 2]])
    assert adjustments(activated, torch.tensor([0, 0, 1]), torch.tensor([1, 1, 0]), 2).tolist() == [[-5, 5]]


def test_a_single_party_is_never_corrected() -> None:
    nobody_else = torch.zeros(3, dtype=torch.int64)
    assert adjustments(torch.tensor([[-3, 0, 2]]), nobody_else, nobody_else, 1).tolist() == [[0]]


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=8))
def test_an_activation_leaves_the_supplier_whole_and_the_system_as_it_is(calls: list[tuple[int, int, int]]) -> None:
    activated, supplier, buyer = (torch.tensor(column) for column in zip(*calls))
    corrections = adjustments(activated[None], supplier, buyer, 4)
    assert int(corrections.sum()) == 0
    bought = torch.arange(4)[None] * 10  # what each party bought for its houses, met exactly but for the activation
    metered = bought.index_add(1, supplier, activated[None])
    for party in range(4):
        got = imbalances(metered, bought, corrections)[0, party]
        assert int(got) == int(activated[buyer == party].sum())  # nothing but what it bought itself
    assert int(imbalances(metered, bought, corrections).sum()) == int(activated.sum())


def test_both_directions_cost_the_single_price(nordic: World) -> None:
    two = draw(build(load(EnvConfig, "house", "env")), [0, 1]).actual
    one = draw(nordic, [0, 1]).actual
    assert torch.equal(one.up, one.down) and torch.equal(one.spot, two.spot)
    apart = torch.where(two.up > two.spot, two.up, two.down)
    torch.testing.assert_close(one.up, apart, rtol=0.0, atol=1e-12)
    assert bool((one.up > one.spot).any()) and bool((one.up < one.spot).any())


def test_with_a_single_price_all_policies_nominate_alike(nordic: World) -> None:
    params, episode = nordic.params, draw(nordic, [0, 1])
    shared = nominate(params, episode, ScriptedPolicy()).nomination_kwh
    alone = nominate(params, episode, Untraded(lambda now: now.default)).nomination_kwh
    speculative = nominate(params, episode, Untraded(lambda now: now.upper)).nomination_kwh
    assert torch.equal(shared, alone) and torch.equal(shared, speculative)


def test_the_cost_of_a_shared_nomination_is_that_at_the_imbalance_price_plus_a_constant(nordic: World) -> None:
    params, policy = nordic.params, ScriptedPolicy()
    episode = nominate(params, draw(nordic, [0, 1]), policy)
    trace, actual = rollout(params, episode, policy), episode.actual
    costs = trace.outcomes.costs
    energy = (actual.up * trace.net_kwh).sum(1)
    constant = ((actual.spot - actual.up) * episode.nomination_kwh).sum(1)
    torch.testing.assert_close((costs.spot + costs.imbalance).sum(1), energy + constant, rtol=0.0, atol=1e-9)
    rewards = trace.outcomes.rewards
    roles = rewards.prosumer.sum(2) + rewards.aggregator.sum(2) + rewards.brp + rewards.dso
    torch.testing.assert_close(roles.sum(1), -trace.cost(), rtol=0.0, atol=1e-3)
    assert not trace.outcomes.ledger.balance.sum(2).any()


def test_perfect_foresight_shares_the_nomination_too_and_no_policy_costs_less(nordic: World) -> None:
    """Its plan beside the nomination of all is the bound that is stated for the single price."""
    params, drawn = nordic.params, draw(nordic, [1])
    best = foresight(params, drawn)
    episode = nominate(params, drawn, ScriptedPolicy())
    torch.testing.assert_close(best.trace.net_kwh - best.trace.outcomes.imbalance_kwh, episode.nomination_kwh)
    assert bool((best.bound_eur <= best.cost_eur + 1e-6).all())
    for choice in (lambda now: now.default, lambda now: now.lower, lambda now: now.upper):
        policy = Untraded(choice)
        cost = rollout(params, nominate(params, drawn, policy), policy).cost()
        assert bool((cost >= best.bound_eur - 1e-6).all())
    scripted = rollout(params, episode, ScriptedPolicy()).cost()
    assert bool((scripted >= best.bound_eur - 1e-6).all())
    speculator = FollowPlan(best.energy_kwh)
    torch.testing.assert_close(rollout(params, nominate(params, drawn, speculator), speculator).cost(), best.cost_eur)
