"""Errors seen in the settlement of other open flexibility software, each as a case that this one gets right."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from totalflex_env.config import EnvConfig
from totalflex_env.config_files import load
from totalflex_env.errors import ConfigError
from totalflex_env.market.delivery import RULES, delivered
from totalflex_env.market.imbalance import imbalances
from totalflex_env.market.settlement import Bookings, Statement, book, ledger, residual
from totalflex_env.types import Params
from totalflex_env.units import mw_from_kw

KWH = 1_000_000


def kept(award_kwh: int) -> Statement:
    """House 0 has a base of 10 kWh, and does what it was awarded at 0.30 EUR/kWh and 0.10 for the grid."""
    house = torch.tensor([[1, 0, 0]])
    price = torch.tensor([200_000])
    return Statement(
        base=10 * KWH * house,
        award=award_kwh * KWH * house,
        metered=(10 + award_kwh) * KWH * house,
        fixed=0 * house,
        wind=0 * price,
        nomination=10 * KWH * torch.ones_like(price),
        spot=price,
        up=price + 100_000,
        down=price - 100_000,
        balance_price=torch.tensor([300_000]),
        grid_price=100_000 * house,
    )


def flexibility(booked: Bookings) -> Tensor:
    return booked.balance + booked.grid


def test_goflex_fman_a_failed_delivery_is_not_paid(params: Params) -> None:
    """FMAN bills what was assigned as executed, whether the meter shows it or not."""
    failed = replace(kept(-2), metered=kept(0).metered)
    booked = book(params, failed)
    assert int(flexibility(booked).abs().sum()) == 0
    assert booked.penalty.tolist() == [[600_000, 0, 0]]  # 2 kWh at 0.30 EUR


def test_goflex_fman_imbalances_of_slots_add_up_and_none_replaces_another(params: Params) -> None:
    said = replace(kept(-2), nomination=torch.tensor([9 * KWH]))
    one = book(params, said).wholesale
    both = book(params, Statement(*(torch.cat([part, part]) for part in vars(said).values()))).wholesale
    assert int(both.sum()) == 2 * int(one.sum()) != int(one.sum())
    metered, bought = torch.tensor([[3, 5], [2, -1]]), torch.tensor([[1, 1], [1, 1]])
    assert imbalances(metered, bought, torch.zeros_like(metered)).sum(0).tolist() == [3, 2]


def test_goflex_fman_a_wide_offer_that_nobody_calls_earns_nothing(params: Params) -> None:
    """FMAN pays for declared width; here an offer is paid for what the market buys of it."""
    assert int(flexibility(book(params, kept(0))).abs().sum()) == 0


def test_goflex_fman_a_small_miss_does_not_lose_the_whole_payment(params: Params) -> None:
    """All or nothing with a tolerance jumps; the default rule pays what was delivered."""
    missed = replace(kept(-2), metered=kept(-2).metered + torch.tensor([[1, 0, 0]]))
    assert int(flexibility(book(params, missed))[0, 0] - flexibility(book(params, kept(-2)))[0, 0]) in (0, 1)


def test_goflex_fman_a_fee_of_ten_million_is_refused() -> None:
    """FMAN's imbalance fee is `10e6` by default where its comment says 10 EUR/kWh."""
    with pytest.raises(ConfigError, match=r"non_delivery_price = 10000000\.0"):
        load(EnvConfig, "tiny", "env", ["--market.non_delivery_price=10e6"])


@pytest.mark.parametrize("award", [-2, 2])
def test_assume_what_buyers_are_charged_is_what_sellers_are_paid(params: Params, award: int) -> None:
    """ASSUME's pay-as-bid charges demand 400 and pays supply 250; the 150 between are on no account."""
    said = kept(award)
    booked = book(params, said)
    assert not residual(ledger(params, booked)).any()
    received_by_aggregator = -(booked.balance + booked.grid).sum()
    assert int(received_by_aggregator) == -award * 400_000
    shared = -int(booked.shared.sum())
    assert shared == -award * 320_000  # to the house, the rest is the aggregator's


def test_shapeshifter_over_delivery_helps_the_grid_and_is_free(params: Params) -> None:
    more = replace(kept(-2), metered=kept(-3).metered)
    assert torch.equal(flexibility(book(params, more)), flexibility(book(params, kept(-2))))
    assert not book(params, more).penalty.any()


def test_nged_a_fleet_of_small_chargers_keeps_its_decimal_places() -> None:
    """NGED's worked example credits 150 vehicles of 0.83 kW as 0.0125 MW; they are 0.1245 MW."""
    assert mw_from_kw(150 * 0.83) == pytest.approx(0.1245, abs=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_the_sign_of_an_order_is_never_guessed(rule: str) -> None:
    """The flex-offer specification calls production positive in one chapter and consumption in the next.

    An increase delivered for an ordered reduction is not delivered at all, whatever the rule.
    """
    ten, two = torch.tensor([10]), torch.tensor([2])
    assert delivered(rule, ten, two, ten + 2).paid.tolist() == [0]
    assert delivered(rule, ten, -two, ten + 2).paid.tolist() == [2]


def test_a_house_that_keeps_its_award_never_loses_by_it_at_a_price_it_accepted(params: Params) -> None:
    """Individual rationality of settlement, for reductions sold above what they are worth and increases bought below.

    With its own share of 1 a house that values energy at `worth` per kWh gains (price - worth) * kWh on a reduction.
    """
    rules = params.config.market.model_copy(update={"aggregator_share": 0.0})
    own = replace(params, config=params.config.model_copy(update={"market": rules}))
    before = int(ledger(own, book(own, kept(0))).balance[0, 0])
    for award in (-3, -1, 1, 3):
        after = int(ledger(own, book(own, kept(award))).balance[0, 0])
        assert after - before == -award * 400_000  # exactly the nodal price of 0.40 EUR/kWh
