"""Delivery rules: the worked table of the Shapeshifter specification, its mirror, and where payments jump."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from totalflex_env.market.delivery import RULES, delivered

PRICE, PENALTY = 7, 11


def net(rule: str, base: int, ordered: int, metered: Tensor) -> Tensor:
    """What an order earns at each meter reading."""
    done = delivered(rule, torch.full_like(metered, base), torch.full_like(metered, ordered), metered)
    return PRICE * done.paid - PENALTY * done.missing


def of(rule: str, metered: list[int], base: int = 10, ordered: int = 2) -> list[int]:
    found: list[int] = net(rule, base, ordered, torch.tensor(metered)).tolist()
    return found


def test_payment_for_an_ordered_reduction() -> None:
    assert of("usef", [7, 8, 9, 10, 11]) == [14, 14, -4, -22, -33]


def test_payment_for_an_ordered_increase_is_its_mirror() -> None:
    assert of("usef", [13, 12, 11, 10, 9], ordered=-2) == [14, 14, -4, -22, -33]
    assert of("usef", [-7, -8, -9, -10, -11], base=-10, ordered=-2) == [14, 14, -4, -22, -33]


@pytest.mark.parametrize("rule", RULES)
def test_nothing_ordered_is_nothing_paid(rule: str) -> None:
    assert of(rule, [7, 10, 13], ordered=0) == [0, 0, 0]


@pytest.mark.parametrize("rule", RULES)
def test_a_mirrored_order_earns_the_same(rule: str) -> None:
    meter = torch.arange(-300, 301)
    assert torch.equal(net(rule, 20, 100, meter), net(rule, -20, -100, -meter))


@pytest.mark.parametrize("rule", RULES)
def test_the_whole_order_is_paid_and_more_is_not(rule: str) -> None:
    assert of(rule, [0, 100, 199, 200], base=300, ordered=100)[:2] == [700, 700]
    assert of(rule, [200], base=300, ordered=100) == [700]


@pytest.mark.parametrize("rule", RULES)
def test_more_delivered_never_earns_less(rule: str) -> None:
    assert bool((net(rule, 1000, 200, torch.arange(600, 1400)).diff() <= 0).all())


def test_the_default_rule_and_the_sliding_scale_have_no_cliff() -> None:
    """A unit of the meter moves the payment by price and penalty at most; twice the price on the steeper scale."""
    meter = torch.arange(600, 1400)
    assert int(net("usef", 1000, 200, meter).diff().abs().max()) == PRICE + PENALTY
    assert int(net("sliding", 1000, 200, meter).diff().abs().max()) == 2 * PRICE


@pytest.mark.parametrize(("rule", "percent"), [("cliff_75", 75), ("cliff_80", 80)])
def test_a_cliff_pays_nothing_just_below_it_and_nearly_all_on_it(rule: str, percent: int) -> None:
    order = 1000
    below, on = of(rule, [5000 - 10 * percent + 1, 5000 - 10 * percent], base=5000, ordered=order)
    assert (below, on) == (0, PRICE * 10 * percent)


def test_the_sliding_scale_pays_nothing_for_half_and_half_for_three_quarters() -> None:
    assert of("sliding", [950, 925, 900], base=1000, ordered=100) == [0, 350, 700]
