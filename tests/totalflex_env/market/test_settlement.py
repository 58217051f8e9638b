"""Settlement: one slot by hand, and the ledger recomputed with Python's own integers.

The slot by hand. House 0 has 1 kWh of inflexible load, its device a position of 2 kWh, of which 1 kWh was bought at a
balance price of 0.30 and a grid price of 0.10 EUR/kWh; the device used 1.5 kWh, so half of it was delivered. Spot is
0.20, up 0.50; 2 kWh were nominated, 2.5 kWh flowed.
    flexibility    BRP        -> aggregator  0.30 * 0.5                  = 0.15
                   DSO        -> aggregator  0.10 * 0.5                  = 0.05
                   aggregator -> house       (1 - 0.2) * (0.15 + 0.05)   = 0.16
    non-delivery   aggregator -> BRP         0.3 * 0.5                   = 0.15
    retail         house      -> BRP         0.20 * (1 + 1.5 + 0.5)      = 0.60
    wholesale      BRP        -> world       0.20 * 2 + 0.50 * 0.5       = 0.65
House -0.44, aggregator -0.11, BRP -0.05, DSO -0.05, world +0.65.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from totalflex_env.batch import take_rows
from totalflex_env.market.settlement import Delivery, residual, rewards, settle
from totalflex_env.trade_types import Ledger
from totalflex_env.types import Costs, Decision, Params
from totalflex_env.units import to_micro_eur

ROWS = 100


def uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=generator, dtype=torch.float64) * (high - low) + low


def random_slot(seed: int, traded: bool = True) -> tuple[Decision, Delivery]:
    """Prices of both signs, awards that are kept and missed in both directions."""
    generator = torch.Generator().manual_seed(seed)
    award = torch.randint(-2_000_000, 2_000_001, (ROWS, 5), generator=generator)
    decision = Decision(
        lower=torch.zeros(ROWS, 5),
        upper=torch.zeros(ROWS, 5),
        position_kwh=uniform(generator, -3.0, 3.0, ROWS, 5),
        energy_kwh=torch.zeros(ROWS, 5),
        award_mwh=award if traded else torch.zeros_like(award),
        balance_price=torch.randint(-500_000, 4_000_001, (ROWS,), generator=generator),
        grid_price=torch.randint(-1_000_000, 1_000_001, (ROWS, 3), generator=generator),
        traded=traded,
        curtailed_kwh=torch.zeros(ROWS, dtype=torch.float64),
    )
    spot = uniform(generator, -0.3, 0.6, ROWS)
    delivery = Delivery(
        energy_kwh=uniform(generator, -3.0, 3.0, ROWS, 5),
        house_kwh=uniform(generator, -5.0, 5.0, ROWS, 3),
        wind_kwh=uniform(generator, 0.0, 9.0, ROWS),
        nomination_kwh=uniform(generator, -50.0, 50.0, ROWS),
        spot=spot,
        up=spot + uniform(generator, 0.0, 0.4, ROWS),
        down=spot - uniform(generator, 0.0, 0.4, ROWS),
    )
    return decision, delivery


def divided(product: int) -> int:
    """A whole number over a million, halves up."""
    return (2 * product + 1_000_000) // 2_000_000


def recomputed(params: Params, decision: Decision, delivery: Delivery, row: int) -> tuple[list[int], int]:
    """Balances and turnover of one row, booking by booking."""
    houses = len(params.node)
    aggregator = houses
    brp, dso, world = (houses + params.aggregators + number for number in range(3))
    accounts, turnover = [0] * (world + 1), 0

    def book(payer: int, payee: int, amount: int) -> None:
        nonlocal turnover
        accounts[payer] -= amount
        accounts[payee] += amount
        turnover += abs(amount)

    def whole(value: Tensor) -> int:
        return round(float(value) * 1_000_000)

    spot, balance_price = whole(delivery.spot[row]), int(decision.balance_price[row])
    consumption = 0
    for house in range(houses):
        mine = [device for device, owner in enumerate(params.house.tolist()) if owner == house]
        metered = sum(whole(delivery.energy_kwh[row, device]) for device in mine)
        position = sum(whole(decision.position_kwh[row, device]) for device in mine) if decision.traded else metered
        award = sum(int(decision.award_mwh[row, device]) for device in mine)
        fixed = whole(delivery.house_kwh[row, house])
        consumption += metered + fixed
        change = metered - position
        done = min(max(change, 0), award) if award > 0 else max(min(change, 0), award)
        missing = max(award - change, 0) if award > 0 else max(change - award, 0) if award < 0 else 0
        mine_is = aggregator + int(params.aggregator[house])
        book(house, brp, divided(spot * (metered + fixed - done)))
        balance = divided(balance_price * done)
        grid = divided(int(decision.grid_price[row, house]) * done)
        book(mine_is, brp, balance)
        book(mine_is, dso, grid)
        book(house, mine_is, divided((balance + grid) * 800_000))
        book(mine_is, brp, divided(300_000 * missing))
    nomination = whole(delivery.nomination_kwh[row])
    beyond = consumption - whole(delivery.wind_kwh[row]) - nomination
    price = whole(delivery.up[row]) if beyond > 0 else whole(delivery.down[row])
    book(brp, world, divided(spot * nomination + price * beyond))
    return accounts, turnover


def test_a_slot_by_hand(params: Params) -> None:
    decision, delivery = (take_rows(record, torch.tensor([0])) for record in random_slot(0))

    def first(value: float, size: int) -> Tensor:
        return torch.tensor([[value] + [0.0] * (size - 1)], dtype=torch.float64)

    def only(value: float) -> Tensor:
        return torch.tensor([value], dtype=torch.float64)

    decision = replace(
        decision,
        position_kwh=first(2.0, 5),
        award_mwh=to_micro_eur(first(-1.0, 5)),
        balance_price=to_micro_eur(only(0.30)),
        grid_price=to_micro_eur(first(0.10, 3)),
    )
    delivery = Delivery(first(1.5, 5), first(1.0, 3), only(0.0), only(2.0), only(0.20), only(0.50), only(0.10))
    ledger = settle(params, decision, delivery)
    assert ledger.balance.tolist() == [[-440_000, 0, 0, -110_000, -50_000, -50_000, 650_000]]
    assert ledger.turnover.tolist() == [600_000 + 150_000 + 50_000 + 160_000 + 150_000 + 650_000]


def of_two(params: Params) -> Params:
    """The same houses, of which the second is with another aggregator."""
    config = params.config.model_copy(update={"aggregators": 2})
    return replace(params, config=config, aggregator=torch.tensor([0, 1, 0]))


@pytest.mark.parametrize("aggregators", [1, 2])
@pytest.mark.parametrize("traded", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_the_ledger_can_be_recomputed_and_balances(params: Params, seed: int, traded: bool, aggregators: int) -> None:
    params = params if aggregators == 1 else of_two(params)
    decision, delivery = random_slot(seed, traded)
    ledger = settle(params, decision, delivery)
    assert ledger.balance.dtype == torch.int64
    assert not residual(ledger).any()
    for row in range(ROWS):
        accounts, turnover = recomputed(params, decision, delivery, row)
        assert ledger.balance[row].tolist() == accounts
        assert int(ledger.turnover[row]) == turnover


def test_the_residual_shows_a_lost_micro_euro(params: Params) -> None:
    ledger = settle(params, *random_slot(0))
    balance = ledger.balance.clone()
    balance[3, 1] += 1
    assert residual(Ledger(balance, ledger.turnover)).tolist() == [0] * 3 + [1] + [0] * (ROWS - 4)


def test_untraded_flexibility_moves_no_money(params: Params) -> None:
    ledger = settle(params, *random_slot(0, traded=False))
    assert not ledger.balance[:, 3].any() and not ledger.balance[:, 5].any()


def test_keeping_the_award_costs_nothing_more(params: Params) -> None:
    """With the meter on position and award nobody pays a penalty; otherwise aggregators do, and never their houses."""
    decision, delivery = random_slot(1)
    kept = replace(delivery, energy_kwh=decision.position_kwh.mul(1e6).round().add(decision.award_mwh) / 1e6)
    strict = replace(params, config=params.config.model_copy(update={"market": rules(params, non_delivery_price=9.0)}))
    assert torch.equal(settle(params, decision, kept).balance, settle(strict, decision, kept).balance)
    missed, punished = settle(params, decision, delivery).balance, settle(strict, decision, delivery).balance
    fell_short = punished[:, 3] < missed[:, 3]
    assert torch.equal(punished[:, :3], missed[:, :3]) and int(fell_short.sum()) > 80
    assert bool((punished[:, 3] <= missed[:, 3]).all())
    assert torch.equal(punished[:, 4] > missed[:, 4], fell_short)


def rules(params: Params, **changes: float) -> object:
    return params.config.market.model_copy(update=changes)


def test_several_aggregators_keep_what_one_would(params: Params) -> None:
    one, two = (settle(each, *random_slot(3)).balance for each in (params, of_two(params)))
    assert torch.equal(one[:, :3], two[:, :3]) and torch.equal(one[:, 4:], two[:, 5:])
    assert torch.equal(one[:, 3], two[:, 3] + two[:, 4]) and bool(two[:, 4].any())


@pytest.mark.parametrize("seed", range(5))
def test_the_roles_share_the_system_cost(params: Params, seed: int) -> None:
    """Over all roles the rewards sum to minus the system cost, to a thousandth of a euro."""
    decision, delivery = random_slot(seed)
    generator = torch.Generator().manual_seed(seed)
    discomfort, shortfall = (uniform(generator, 0.0, 1.0, ROWS, 3) for _ in range(2))
    net = delivery.energy_kwh.sum(1) + delivery.house_kwh.sum(1) - delivery.wind_kwh
    beyond = net - delivery.nomination_kwh
    costs = Costs(
        spot=delivery.spot * delivery.nomination_kwh,
        imbalance=delivery.up * beyond.clamp(min=0.0) + delivery.down * beyond.clamp(max=0.0),
        overload=uniform(generator, 0.0, 5.0, ROWS),
        voltage=uniform(generator, 0.0, 5.0, ROWS),
        discomfort=discomfort.sum(1),
        shortfall=shortfall.sum(1),
    )
    paid = rewards(settle(params, decision, delivery), costs, discomfort + shortfall)
    roles = paid.prosumer.sum(1) + paid.aggregator.sum(1) + paid.brp + paid.dso
    torch.testing.assert_close(roles, -costs.total(), rtol=0.0, atol=1e-3)


def test_each_role_bears_its_own_cost(params: Params) -> None:
    decision, delivery = random_slot(0)
    ledger = settle(params, decision, delivery)
    none = torch.zeros(ROWS, dtype=torch.float64)
    costs = Costs(none, none, none + 2.0, none + 3.0, none + 10.0, none)
    house_cost = torch.tensor([[1.0, 4.0, 5.0]], dtype=torch.float64).expand(ROWS, 3)
    paid, account = rewards(ledger, costs, house_cost), ledger.balance / 1e6
    torch.testing.assert_close(paid.prosumer, account[:, :3].double() - house_cost, rtol=0.0, atol=1e-5)
    torch.testing.assert_close(paid.aggregator, account[:, 3:4].double(), rtol=0.0, atol=1e-5)
    torch.testing.assert_close(paid.brp, account[:, 4].double(), rtol=0.0, atol=1e-5)
    torch.testing.assert_close(paid.dso, account[:, 5].double() - 5.0, rtol=0.0, atol=1e-5)


def test_a_row_of_a_batch_equals_the_row_alone(params: Params) -> None:
    decision, delivery = random_slot(2)
    together = settle(params, decision, delivery)
    for row in (0, 7, ROWS - 1):
        index = torch.tensor([row])
        alone = settle(params, take_rows(decision, index), take_rows(delivery, index))
        assert torch.equal(alone.balance, together.balance[index])
