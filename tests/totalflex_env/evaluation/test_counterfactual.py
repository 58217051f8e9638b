"""The true counterfactual is the default twin; baselines are measured against it, and what adversaries gain."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.engine.build import World, build, draw
from totalflex_env.engine.nominate import nominate
from totalflex_env.engine.roles import ScriptedPolicy
from totalflex_env.engine.rollout import rollout
from totalflex_env.evaluation.adversary import Terms, trained, tried
from totalflex_env.evaluation.counterfactual import CALLED, DEFAULT, LEFT_ALONE, LOWER, UPPER, Case, case, live, units
from totalflex_env.evaluation.manipulation import baseline_games, delivered_shares, prepared
from totalflex_env.market.customer_baseline import METHODS

TERMS = Terms(price=0.5, penalty=0.3)


@pytest.fixture(scope="module")
def street() -> World:
    return build(load(EnvConfig, "street", "env", ["--scenario.split=test"]))


@pytest.fixture(scope="module")
def here(street: World) -> Case:
    return case(street, [0], 8)


def test_a_day_lived_without_a_call_is_what_the_twins_do_in_a_day_with_a_market(street: World) -> None:
    params = street.params
    episode = nominate(params, draw(street, [0, 1]), ScriptedPolicy())
    twins = rollout(params, episode, ScriptedPolicy()).decisions.position_kwh
    alone = live(params, episode, torch.zeros_like(episode.actual.spot, dtype=torch.bool), LEFT_ALONE)
    fixed = episode.actual.base_kwh - episode.actual.pv_kwh
    torch.testing.assert_close(alone.metered_kwh, fixed.index_add(2, params.house, twins), rtol=0.0, atol=1e-12)


def test_the_days_before_end_on_the_day_of_the_call(here: Case) -> None:
    """Eleven days on end: the weather of one day goes on where that of the day before stopped."""
    days = [*here.before, here.day]
    jumps = [float(b.actual.temperature[0, 0] - a.actual.temperature[0, -1]) for a, b in pairwise(days)]
    assert len(days) == 11 and max(map(abs, jumps)) < 2.0
    assert len({float(day.actual.spot.sum()) for day in days}) == 11


def test_conduct_is_kept_around_the_call_alone(here: Case) -> None:
    params, begin = here.params, int(here.window[0].byte().argmax())
    alone, called, loaded = (
        live(params, here.day, here.window, conduct).metered_kwh[0]
        for conduct in (LEFT_ALONE, CALLED, (DEFAULT, LOWER, UPPER))
    )
    assert torch.equal(alone[:begin], called[:begin])
    assert float((alone - called)[begin : begin + 8].sum()) > 1.0
    assert torch.equal(alone[: begin - 8], loaded[: begin - 8])
    assert float((alone - loaded)[begin - 8 : begin].sum()) > 0.0
    assert float((loaded - alone)[begin : begin + 8].sum()) > 0.0


def test_nothing_is_gained_from_the_truth_and_something_from_every_method_that_asks_the_adversary(here: Case) -> None:
    games = baseline_games(here, TERMS, rounds=2)
    assert set(games) == {"truth", *METHODS}
    assert games["truth"].gain_eur == 0.0 and games["truth"].overpaid_eur == 0.0
    assert all(game.gain_eur >= 0.0 and game.largest_eur >= game.gain_eur for game in games.values())
    gamed = {name for name, game in games.items() if game.gain_eur > 0.1}
    assert {"nomination", "meter_before"} <= gamed
    for name in ("zero", "control_group"):  # nothing that the adversary does moves these
        assert games[name].gain_eur < min(games[method].gain_eur for method in gamed)
    assert games["nomination"].levers["declares more"] > 0.5
    assert games["meter_before"].levers["preloads"] > 0.0


def test_units_are_the_houses_of_one_day_after_the_other() -> None:
    values = torch.arange(24.0).reshape(2, 3, 4)
    assert units(values).shape == (8, 3)
    assert units(values)[5].tolist() == values[1, :, 1].tolist()


def best(rule: str, cost: float) -> float:
    share: Tensor = delivered_shares(rule, torch.tensor([cost], dtype=torch.float64), TERMS)
    return float(share)


def test_adversaries_aim_just_above_a_cliff() -> None:
    """Marginal cost c s against a price of 0.5: 0.5 / c would do, but from c = 0.667 on that lies below 75 %."""
    assert best("cliff_75", 0.5) == 1.0
    assert best("cliff_75", 0.6) == pytest.approx(0.5 / 0.6, abs=0.005)
    assert {best("cliff_75", cost) for cost in (0.7, 0.9, 1.2)} == {0.75}
    assert [best("cliff_80", cost) for cost in (0.7, 0.9, 1.2)] == pytest.approx([0.8, 0.8, 0.8])
    assert best("cliff_75", 1.4) == 0.0


def test_the_default_rule_is_left_without_a_jump() -> None:
    """Price and penalty are both at stake: the share is (0.5 + 0.3) / c, and falls by less than a hundredth a step."""
    costs = torch.linspace(0.5, 2.0, 301, dtype=torch.float64)
    shares = delivered_shares("usef", costs, TERMS)
    torch.testing.assert_close(shares, (0.8 / costs).clamp(max=1.0).to(shares), rtol=0.0, atol=0.005)


@pytest.mark.slow
def test_without_training_the_gain_is_that_of_the_grid_and_training_is_the_same_each_time(here: Case) -> None:
    plain, short = baseline_games(here, TERMS, 0), baseline_games(here, TERMS, 1)
    assert all(game.gain_eur == pytest.approx(game.tried_eur, abs=1e-9) for game in plain.values())
    assert all(game.tried_eur == plain[name].tried_eur for name, game in short.items())
    assert short == baseline_games(here, TERMS, 1)


def test_training_never_loses_what_it_found_and_finds_more(here: Case) -> None:
    game, lives = prepared(here, TERMS)
    asked = game.known.called.any(1)
    rules = {name: METHODS[name] for name in ("nomination", "meter_before")}
    grid = tried(game, rules, lives)
    best = trained(game, rules, grid, 3)
    for name, rule in rules.items():
        strategy, worth = best[name]
        assert bool((worth >= grid[name][1]).all())
        lived_again = game.payoff(rule, strategy, game.live([strategy])[0])
        torch.testing.assert_close(lived_again[asked], worth[asked], rtol=0.0, atol=1e-9)
    assert bool((best["meter_before"][1] > grid["meter_before"][1] + 0.01)[asked].any())
