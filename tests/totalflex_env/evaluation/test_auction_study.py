"""Price rules on identical books of a village: ledgers without residual, and misreports that pay under one rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.engine.build import World, build
from totalflex_env.evaluation.auction_study import DISCOMFORT, RuleFigures, book, compare
from totalflex_env.market.price_rules import PriceRule


@pytest.fixture(scope="module")
def village() -> World:
    return build(load(EnvConfig, "village", "env", ["--scenario.split=test"]))


@pytest.fixture(scope="module")
def rules(village: World) -> dict[str, RuleFigures]:
    return compare(village, [9001], 2)


def test_every_device_has_an_order_and_everybody_tells_the_truth(village: World) -> None:
    orders = book(village, 9001).orders
    assert sorted(orders.offers.device.tolist()) == list(range(len(village.params.house)))
    assert bool(orders.must_run.all()) and float(orders.price_more.min()) == DISCOMFORT
    assert replace(orders).id.tolist() == list(range(len(orders.id)))


def test_the_books_balance_to_the_micro_euro_under_every_rule(rules: dict[str, RuleFigures]) -> None:
    assert set(rules) == {rule.value for rule in PriceRule}
    for one in rules.values():
        assert one.residual_micro_eur == 0
        assert one.owners_eur + one.balance_eur + one.grid_eur == pytest.approx(0.0, abs=1e-9)
        assert one.gap <= 1e-3 and one.welfare_eur > 0.0
        assert one.losers == 0


def test_asking_for_more_than_the_truth_pays_under_pay_as_bid_alone(rules: dict[str, RuleFigures]) -> None:
    assert rules["pay_as_bid"].exploitability_eur > 0.01
    for name in ("convex_hull", "fixed", "european"):
        assert rules[name].exploitability_eur < 0.1 * rules["pay_as_bid"].exploitability_eur
