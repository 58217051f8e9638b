"""What other market simulators get wrong, as named tests; the findings are described in docs/market.md."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import torch

from totalflex_env.batch import concatenate_rows, equal, take_rows
from totalflex_env.errors import InfeasibleError
from totalflex_env.market import book as books
from totalflex_env.market.auction import clear
from totalflex_env.market.book import AuctionBook, FlexOrders, GridLimits, StepCurves, element_limits
from totalflex_env.market.price_rules import PriceRule
from totalflex_env.market.prices import causes, explain, label
from totalflex_env.market.rejections import Reason


def one_slot(market: Any, upper: list[float], more: list[float], worth: list[float], whole: bool = False) -> FlexOrders:
    """Optional orders for one slot, in part or whole; `more` EUR/kWh is what energy costs the owner."""
    lower = [[energy if whole else 0.0] for energy in upper]
    offers = market.offers(lower, [[energy] for energy in upper], [(0, 0)] * len(upper))
    return books.optional(
        offers, torch.zeros(len(upper), dtype=torch.int64), 1, market.prices(*more), market.prices(*worth)
    )


def selling(quantity: float, price: float) -> StepCurves:
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    return StepCurves(torch.tensor([0]), 0.0 * one[..., 0], quantity * one, price * one)


@pytest.mark.parametrize("rule", [PriceRule.CONVEX_HULL, PriceRule.FIXED, PriceRule.EUROPEAN])
def test_in_scarcity_the_price_is_the_buyers(market: Any, rule: PriceRule) -> None:
    """ASSUME prices supply 10 at 20 against demand 15 at 100 at the 20 of the supply."""
    book = replace(market.book(one_slot(market, [15.0], [-100.0], [0.0]), [[0.0]], 0.0), curves=selling(10.0, 20.0))
    cleared = clear(book, rule, 1e-9)
    assert cleared.allocation.energy.tolist() == [[pytest.approx(10.0)]]
    assert float(cleared.prices.balance) == pytest.approx(100.0)
    assert float(cleared.payments.order) == pytest.approx(-1000.0)
    assert float(cleared.payments.curve) == pytest.approx(1000.0)


def test_with_plenty_the_price_is_the_sellers(market: Any) -> None:
    book = replace(market.book(one_slot(market, [5.0], [-100.0], [0.0]), [[0.0]], 0.0), curves=selling(10.0, 20.0))
    assert float(clear(book, tolerance=1e-9).prices.balance) == pytest.approx(20.0)


def test_pay_as_bid_charges_what_it_pays(market: Any) -> None:
    """ASSUME charges 400 and pays 250; the 150 belong to nobody."""
    book = replace(
        market.book(one_slot(market, [4.0, 3.0], [-100.0, -60.0], [0.0, 0.0]), [[0.0]], 0.0), curves=selling(10.0, 20.0)
    )
    cleared = clear(book, PriceRule.PAY_AS_BID, 1e-9)
    assert float(cleared.payments.curve) == pytest.approx(140.0)
    assert float(cleared.payments.order.sum()) == pytest.approx(-140.0)
    assert cleared.payments.residual == pytest.approx(0.0, abs=1e-9)
    assert bool((cleared.payments.order >= cleared.allocation.discomfort - 1e-9).all())


@pytest.mark.parametrize("rule", list(PriceRule))
def test_a_losing_child_never_saves_its_parent(market: Any, rule: PriceRule) -> None:
    """ASSUME multiplies the price of the child by the volume of the parent and reports a gain where there is a loss."""
    orders = one_slot(market, [10.0, 1.0], [0.0, 0.0], [150.0, 15.0], whole=True)  # worth 15 EUR/kWh, energy costs 20
    orders = replace(orders, parent=torch.tensor([-1, 0]))
    book = replace(market.book(orders, [[0.0]], 0.0), curves=selling(20.0, 20.0))
    assert not bool(clear(book, rule, 1e-9).allocation.accepted.any())


@pytest.mark.parametrize("rule", list(PriceRule))
def test_a_gaining_child_saves_its_parent_and_never_runs_alone(market: Any, rule: PriceRule) -> None:
    orders = one_slot(market, [10.0, 4.0], [0.0, 0.0], [150.0, 200.0], whole=True)
    orders = replace(orders, parent=torch.tensor([-1, 0]))
    book = replace(market.book(orders, [[0.0]], 0.0), curves=selling(20.0, 20.0))
    assert clear(book, rule, 1e-9).allocation.accepted.tolist() == [True, True]
    lonely = replace(orders, worth=market.prices(50.0, 200.0))
    assert clear(replace(book, orders=lonely), rule, 1e-9).allocation.accepted.tolist() == [False, False]


def test_no_bid_is_skipped_when_losers_are_turned_down(market: Any) -> None:
    """ASSUME removes orders from the list that it walks through, and so never looks at the next one."""
    worth = [100.0, 101.0, 102.0, 103.0, 300.0, 301.0]
    orders = one_slot(market, [10.0] * 6, [0.0] * 6, worth, whole=True)
    book = replace(market.book(orders, [[0.0]], 0.0), curves=selling(100.0, 20.0))
    cleared = clear(book, PriceRule.EUROPEAN, 1e-9)
    assert cleared.allocation.accepted.tolist() == [False] * 4 + [True] * 2


def test_equal_bids_are_decided_without_chance(market: Any) -> None:
    """ASSUME draws lots with the global random state."""
    orders = one_slot(market, [6.0, 6.0, 6.0], [0.0] * 3, [300.0] * 3, whole=True)
    book = replace(market.book(orders, [[0.0]], 0.0), curves=selling(6.0, 20.0))
    first = clear(book, tolerance=1e-9)
    shuffled = replace(book, orders=take_rows(orders, torch.tensor([2, 0, 1])))
    assert int(first.allocation.accepted.sum()) == 1
    assert equal(first.allocation, clear(shuffled, tolerance=1e-9).allocation)


def test_an_infeasible_book_is_explained_and_never_relaxed_silently(market: Any) -> None:
    """FlexMeasures fell back to another schedule without a word until 1.0."""
    offers = market.offers([[3.0], [1.0]], [[3.0], [1.0]], [(0, 0), (0, 0)])
    orders = books.must_run(offers, torch.tensor([0, 1]), 1, market.prices(0.0, 0.0), market.prices(0.0, 0.0))
    orders = replace(orders, position=torch.zeros(2, 1, dtype=torch.float64))
    behind, base = torch.tensor([[1.0, 0.0, 0.0]]), torch.zeros(1, 1, dtype=torch.float64)
    limits = element_limits(("transformer",), behind, base, torch.full_like(base, 2.0), torch.inf)
    book = replace(market.book(orders, [[0.0]], 0.0, limits), curves=selling(10.0, 20.0))
    with pytest.raises(InfeasibleError) as refused:
        clear(book)
    assert "transformer in slot 0" in str(refused.value) and "order 0 must run" in str(refused.value)
    assert "order 1" not in str(refused.value)
    assert clear(
        replace(book, limits=replace(limits, cap=torch.full_like(base, 5.0)))
    ).allocation.cost == pytest.approx(85.0)


@pytest.mark.parametrize("rule", list(PriceRule))
def test_what_only_a_mixture_of_starts_could_keep_is_infeasible_too(market: Any, rule: PriceRule) -> None:
    """3 kWh run in one slot or the other, and 2 fit: half of each would keep the limit, a whole start does not."""
    offers = market.offers([[3.0], [1.0]], [[3.0], [1.0]], [(0, 1), (0, 1)])
    orders = books.must_run(offers, torch.tensor([0, 1]), 2, market.prices(0.0, 0.0), market.prices(0.0, 0.0))
    orders = replace(orders, position=torch.zeros(2, 2, dtype=torch.float64))
    behind, base = torch.tensor([[1.0, 0.0, 0.0]]), torch.zeros(1, 2, dtype=torch.float64)
    limits = element_limits(("line",), behind, base, torch.full_like(base, 2.0), torch.inf)
    with pytest.raises(InfeasibleError, match=r"line in slot [01]; order 0 must run$"):
        clear(market.book(orders, [[0.1, 0.1]] * 2, 50.0, limits), rule, 1e-9)


def test_energy_that_the_balance_cannot_provide_is_explained(market: Any) -> None:
    offers = market.offers([[3.0]], [[3.0]], [(0, 0)])
    orders = books.must_run(offers, torch.tensor([0]), 1, market.prices(0.0), market.prices(0.0))
    orders = replace(orders, position=torch.zeros(1, 1, dtype=torch.float64))
    book = replace(market.book(orders, [[0.0]], 0.0), curves=selling(2.0, 20.0))
    with pytest.raises(InfeasibleError, match="balance of slot 0"):
        clear(book)


def test_consumption_is_never_turned_into_production(market: Any) -> None:
    """FlexMeasures scheduled a heat pump to produce 1.764 kW when its constraints were relaxed."""
    offers = market.offers([[0.0]], [[2.0]], [(0, 0)], default=[[1.0]])
    orders = books.must_run(offers, torch.tensor([0]), 1, market.prices(0.0), market.prices(0.0))
    behind, base = torch.tensor([[1.0, 0.0, 0.0]]), torch.full((1, 1), 50.0, dtype=torch.float64)
    limits = element_limits(("line",), behind, base, torch.full_like(base, 2.0), 3.0)
    cleared = clear(market.book(orders, [[0.1, 0.2]], 100.0, limits), tolerance=1e-9)
    assert cleared.allocation.energy.tolist() == [[0.0]]
    assert float(cleared.prices.nodal[0, 0]) > 3.0


def test_a_day_of_summer_time_has_the_slots_that_it_has(market: Any) -> None:
    zone = ZoneInfo("Europe/Copenhagen")
    for begin, slots in ((datetime(2024, 3, 31, tzinfo=zone), 92), (datetime(2024, 10, 27, tzinfo=zone), 100)):
        offers = market.offers([[1.0]], [[1.0]], [(0, slots - 1)])
        late = market.offers([[1.0]], [[1.0]], [(0, slots)])
        orders = books.must_run(
            concatenate_rows([offers, late]), torch.tensor([0, 0]), slots, market.prices(0, 0), market.prices(0, 0)
        )
        prices = [[0.1, 0.2]] * (slots - 1) + [[0.0, 0.0]]
        book: AuctionBook = replace(market.book(orders, prices, 5.0), begin=begin)
        cleared = clear(book, tolerance=1e-9)
        assert [rejection.reason for rejection in cleared.rejections] == [Reason.OUTSIDE_DAY]
        assert cleared.allocation.start.tolist() == [slots - 1]
        assert label(book, slots - 1).startswith("23:45")
        assert [label(book, 8)[:5], label(book, 12)[:5]] == (["03:00", "04:00"] if slots == 92 else ["02:00", "02:00"])


def test_every_price_is_explained(market: Any) -> None:
    """Brokers of PowerTAC ask why their charge per kWh changes; here every EUR has a cause."""
    offers = replace(market.offers([[2.0]], [[2.0]], [(0, 1)]), price_shift=market.prices(0.3))
    orders = books.must_run(offers, torch.tensor([1]), 2, market.prices(0.0), market.prices(0.0))
    behind, base = torch.tensor([[1.0, 1.0, 0.0]]), torch.tensor([[5.0, 1.0]], dtype=torch.float64)
    limits = element_limits(("T1",), behind, base, torch.full_like(base, 3.5), 0.5)
    cleared = clear(market.book(orders, [[0.1, 0.1]] * 2, 50.0, limits), tolerance=1e-9)
    told = explain(cleared, 0)
    assert told.shift == 1 and told.received == pytest.approx(
        sum(share.worth for share in told.shares) + told.uplift - told.charge
    )
    assert "moved because T1 was at its limit at 00:00" in told.sentence and "EUR" in told.sentence
    parts = torch.zeros(2, dtype=torch.float64)
    for cause in causes(cleared, 1):
        parts[cause.slot] += cause.price
    assert torch.allclose(parts, cleared.prices.nodal[1])


def test_reverse_flow_is_limited_like_flow(market: Any) -> None:
    """Production that leaves a feeder overloads it as consumption does; consuming more is what is paid for."""
    offers = market.offers([[0.0]], [[3.0]], [(0, 0)])
    orders = books.must_run(offers, torch.tensor([0]), 1, market.prices(0.0), market.prices(0.0))
    behind, base = torch.tensor([[1.0, 0.0, 0.0]]), torch.full((1, 1), -5.0, dtype=torch.float64)
    limits = element_limits(("line",), behind, base, torch.full_like(base, 3.0), 3.0)
    cleared = clear(market.book(orders, [[0.1, 0.2]], 100.0, limits), tolerance=1e-9)
    assert float(cleared.allocation.value) == pytest.approx(-3.0)
    assert float(cleared.prices.limit) < 0.0
    assert float(cleared.payments.order) >= -1e-9


@pytest.mark.parametrize("rule", list(PriceRule))
@pytest.mark.parametrize(("gain", "accepted"), [(20.0, [False, False, False]), (200.0, [True, True, True])])
def test_a_grandchild_counts_for_its_own_volume_alone(
    market: Any, rule: PriceRule, gain: float, accepted: list[bool]
) -> None:
    """A chain of three: the last gains 20 or 200 EUR less 20 for its energy, the two above lose 50 and 5 without it."""
    orders = one_slot(market, [10.0, 5.0, 1.0], [0.0] * 3, [150.0, 95.0, gain], whole=True)
    orders = replace(orders, parent=torch.tensor([-1, 0, 1]))
    book = replace(market.book(orders, [[0.0]], 0.0), curves=selling(20.0, 20.0))
    assert clear(book, rule, 1e-9).allocation.accepted.tolist() == accepted


def test_lines_and_transformers_keep_their_own_ratings(market: Any) -> None:
    """8 and 6 kWh are wanted behind a line that carries 4 and elsewhere, the transformer carries 9: 4 and 5 pass."""
    orders = one_slot(market, [8.0, 6.0], [-0.9, -0.6], [0.0, 0.0])
    orders = replace(orders, node=torch.tensor([1, 0]))
    behind, base = torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 1.0]]), torch.zeros(2, 1, dtype=torch.float64)
    rating = torch.tensor([[4.0], [9.0]], dtype=torch.float64)
    limits = element_limits(("line", "transformer"), behind, base, rating, 5.0)
    cleared = clear(market.book(orders, [[0.1, 0.1]], 50.0, limits), tolerance=1e-9)
    assert cleared.allocation.energy.flatten().tolist() == pytest.approx([4.0, 5.0])
    assert cleared.prices.limit.flatten().tolist() == pytest.approx([0.3, 0.5])


def test_upper_and_lower_voltage_limits_bind_in_one_slot(market: Any) -> None:
    """Sun lifts node 0 above its band while load pulls node 1 below: more is consumed there and less here."""
    offers = market.offers([[0.0], [0.0]], [[5.0], [5.0]], [(0, 0), (0, 0)], default=[[0.0], [5.0]])
    orders = books.must_run(offers, torch.tensor([0, 1]), 1, market.prices(0.2, 0.2), market.prices(0.2, 0.2))
    one, endless = torch.ones(2, 1, dtype=torch.float64), torch.full((2, 1), torch.inf, dtype=torch.float64)
    limits = GridLimits(
        name=("node 0", "node 1"),
        voltage=torch.tensor([True, True]),
        sensitivity=torch.tensor([[-0.01, 0.0, 0.0], [0.0, -0.01, 0.0]], dtype=torch.float64),
        base=torch.tensor([[1.08], [0.93]], dtype=torch.float64),
        lower=0.95 * one,
        upper=1.05 * one,
        fall=endless,
        rise=endless,
        cap=100.0 * one,
    )
    cleared = clear(market.book(orders, [[0.1, 0.1]], 50.0, limits), tolerance=1e-9)
    assert cleared.allocation.energy.flatten().tolist() == pytest.approx([3.0, 3.0])
    assert cleared.allocation.value.flatten().tolist() == pytest.approx([1.05, 0.95])
    assert cleared.prices.limit[0] > 0.0 > cleared.prices.limit[1]
    assert cleared.prices.nodal[0] < 0.1 < cleared.prices.nodal[1]


def test_awards_stay_when_the_same_book_is_cleared_again(market: Any) -> None:
    """EMHASS changes between plans of equal cost from run to run; a second clearing begins where the first ended."""
    orders = one_slot(market, [6.0, 6.0, 6.0], [0.0] * 3, [300.0] * 3, whole=True)
    book = replace(market.book(orders, [[0.0]], 0.0), curves=selling(6.0, 20.0))
    first = clear(book, tolerance=1e-9)
    again = clear(book, tolerance=1e-9, previous=first)
    assert equal(first.allocation, again.allocation)
