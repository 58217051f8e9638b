"""Several balance responsible parties: an activation by hand, and what holds for any division of the houses.

House 0 is supplied by party 0, which bought its base of 10 kWh at a spot price of 0.20; party 1 buys 2 kWh less of it
at a balance price of 0.30 EUR/kWh, having bought 2 kWh too little for a park that it lost. Up is 0.30, down 0.10.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from totalflex_env.market.portfolios import Portfolios, settle_parties
from totalflex_env.market.settlement import Statement, book, ledger
from totalflex_env.types import Params

KWH = 1_000_000


def activation() -> tuple[Statement, Portfolios]:
    house, price = torch.tensor([[1, 0, 0]]), torch.tensor([200_000])
    said = Statement(
        base=10 * KWH * house,
        award=-2 * KWH * house,
        metered=8 * KWH * house,
        fixed=0 * house,
        wind=0 * price,
        nomination=torch.tensor([8 * KWH]),
        spot=price,
        up=price + 100_000,
        down=price - 100_000,
        balance_price=torch.tensor([300_000]),
        grid_price=0 * house,
    )
    both = torch.tensor([0, 0, 0]), torch.tensor([1, 1, 1])
    return said, Portfolios(*both, wind=1, nomination=torch.tensor([[10 * KWH, -2 * KWH]]))


def test_the_supplier_of_an_activated_house_is_left_whole(params: Params) -> None:
    said, group = activation()
    got = settle_parties(params, said, group)
    assert got.correction.tolist() == [[-2 * KWH, 2 * KWH]]
    assert got.imbalance.tolist() == [[0, 0]]
    assert got.balance.tolist() == [[0, -600_000 + 400_000]]  # pays the aggregator 0.60, sold its 2 kWh for 0.40


def test_without_corrections_the_activation_is_the_suppliers_imbalance(params: Params) -> None:
    said, group = activation()
    got = settle_parties(params, said, group, corrected=False)
    assert got.correction.tolist() == [[0, 0]] and got.imbalance.tolist() == [[-2 * KWH, 2 * KWH]]
    assert got.balance.tolist() == [[200_000, -400_000]]  # at the down price of a group that is not short
    short = replace(said, nomination=torch.tensor([7 * KWH]))
    more = replace(group, nomination=torch.tensor([[10 * KWH, -3 * KWH]]))
    assert settle_parties(params, short, more, corrected=False).balance.tolist() == [[600_000, -900_000]]


def test_the_missing_energy_of_an_activation_is_the_buyers_imbalance(params: Params) -> None:
    said, group = activation()
    got = settle_parties(params, replace(said, metered=said.base), group)
    assert got.imbalance.tolist() == [[0, 2 * KWH]]
    penalty = round(params.config.market.non_delivery_price * KWH) * 2
    assert got.balance.tolist() == [[0, 400_000 - 600_000 + penalty]]  # buys 2 kWh at 0.30, having sold them at 0.20


@pytest.mark.parametrize("parties", [1, 2, 5])
@pytest.mark.parametrize("corrected", [True, False])
def test_the_parties_together_are_the_single_one_to_the_micro_euro(
    params: Params, parties: int, corrected: bool
) -> None:
    generator = torch.Generator().manual_seed(parties)

    def some(low: int, high: int, *shape: int) -> torch.Tensor:
        return torch.randint(low, high, shape, generator=generator)

    rows, houses = 200, 3
    spot = some(-300_000, 600_000, rows)
    nomination = some(-20 * KWH, 20 * KWH, rows, parties)
    said = Statement(
        base=some(-9 * KWH, 9 * KWH, rows, houses),
        award=some(-2 * KWH, 2 * KWH, rows, houses),
        metered=some(-9 * KWH, 9 * KWH, rows, houses),
        fixed=some(-5 * KWH, 5 * KWH, rows, houses),
        wind=some(0, 9 * KWH, rows),
        nomination=nomination.sum(1),
        spot=spot,
        up=spot + some(0, 400_000, rows),
        down=spot - some(0, 400_000, rows),
        balance_price=some(-500_000, 4_000_000, rows),
        grid_price=some(-1_000_000, 1_000_000, rows, houses),
    )
    group = Portfolios(some(0, parties, houses), some(0, parties, houses), 0, nomination)
    got = settle_parties(params, said, group, corrected)
    single = ledger(params, book(params, said)).balance[:, -3]
    assert torch.equal(got.balance.sum(1), single)
    assert not got.correction.sum(1).any()
    if parties == 1:
        assert not got.correction.any() and torch.equal(got.balance[:, 0], single)


def test_the_system_does_not_care_who_supplies_whom(params: Params) -> None:
    said, group = activation()
    other = replace(group, supplier=torch.tensor([1, 0, 0]), buyer=torch.tensor([0, 0, 1]))
    first, second = (settle_parties(params, said, each) for each in (group, other))
    assert int(first.wholesale.sum()) == int(second.wholesale.sum())
