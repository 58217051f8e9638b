"""The clearing on books that can be solved by hand.

The book `TINY`: houses A and B take 1 each and hang behind a transformer that lets 5 through. On top of that A would
take 3 at 10; B would take 4 at 8 and 2 at 4. The BRP, whose nomination is met without them, supplies 6 at 3 and more
at 6.

Overload at 4 each: there is room for 5 - 2 = 3, which A's bid of 10 fills. Every further unit overloads the
transformer, so B's bid of 8 is worth 8 - 4 = 4 outside: above 3, below 6. B gets the 3 units that the BRP still has at
3. The marginal bid sets the balance price, 4; the overload adds 4; at their houses energy costs 8, B's own bid.

Overload at 6 each: now B's bid is worth 8 - 6 = 2 outside and stays away. The BRP supplies 3, amid its first step: the
balance price is 3. The transformer is just full; the smallest price that keeps B out is 8 - 3 = 5.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from totalflex_env.market.clearing import clear
from totalflex_env.trade_types import Award, Orders


def whole(*values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.int64)


TINY = Orders(
    quantity=whole([3, 4, 2]),
    price=whole([10, 8, 4]),
    house=whole(0, 1, 1),
    fixed=whole([1, 1]),
    position=whole(0),
    brp_price=whole([3, 6]),
    brp_quantity=whole([6, 0]),
    brp_start=whole(0),
    limit=whole([5]),
    members=torch.tensor([[True, True]]),
    cap=whole(4),
)


def bids(*segments: tuple[int, int], **changes: torch.Tensor) -> Orders:
    """Quantities at prices, all in house A, behind a transformer that is never full."""
    quantities, prices = [[segment[0] for segment in segments]], [[segment[1] for segment in segments]]
    houses = torch.zeros(len(segments), dtype=torch.int64)
    open_grid = replace(TINY, quantity=whole(*quantities), price=whole(*prices), house=houses, limit=whole([1000]))
    return replace(open_grid, **changes)


def result(award: Award) -> tuple[list[int], int, list[int]]:
    """Accepted, balance price and grid prices of row 0."""
    return award.accepted[0].tolist(), int(award.balance_price[0]), award.grid_price[0].tolist()


def test_an_overload_worth_its_price() -> None:
    assert result(clear(TINY)) == ([3, 3, 0], 4, [4, 4])


def test_an_overload_that_is_too_expensive() -> None:
    assert result(clear(replace(TINY, cap=whole(6)))) == ([3, 0, 0], 3, [5, 5])


def test_only_houses_behind_the_limit_pay_for_it() -> None:
    """With B alone behind a limit of 2, B has room for 1; A's 3 and B's 1 leave the BRP in its first step."""
    orders = replace(TINY, members=torch.tensor([[False, True]]), limit=whole([2]), cap=whole(6))
    assert result(clear(orders)) == ([3, 1, 0], 3, [0, 5])


def test_nested_limits_add_up() -> None:
    """B's line has room for 1 unit, which its bid of 9 takes; the transformer for 2, so A's bid of 7 gets one.

    At A energy costs A's bid, 7. At B it costs 9, since half of B's bid waits behind the line.
    """
    members = torch.tensor([[False, True], [True, True]])
    orders = replace(TINY, price=whole([7, 9, 8]), members=members, limit=whole([2, 4]), cap=whole(20))
    assert result(clear(orders)) == ([1, 1, 0], 3, [4, 6])


def test_scarcity_is_priced_by_the_buyer() -> None:
    """Ten units are offered at 20, fifteen wanted at 100; more would cost 4000."""
    orders = bids((15, 100), brp_price=whole([20, 4000]), brp_quantity=whole([10, 0]))
    assert result(clear(orders)) == ([10], 100, [0, 0])


def test_an_open_interval_of_prices_is_halved() -> None:
    """Ten units offered at 20 meet ten wanted at 101: every price between supports it."""
    orders = bids((10, 101), brp_price=whole([20, 4000]), brp_quantity=whole([10, 0]))
    assert result(clear(orders)) == ([10], 60, [0, 0])


def test_a_full_element_is_free_as_long_as_nobody_waits() -> None:
    orders = bids((3, 10), limit=whole([5]))
    assert result(clear(orders)) == ([3], 3, [0, 0])


def test_negative_prices() -> None:
    """The BRP pays 6 for getting rid of energy: a bid of -5 is served, one of -7 is not."""
    orders = bids((4, -7), (4, -5), brp_price=whole([-6, 3]), brp_quantity=whole([6, 0]))
    assert result(clear(orders)) == ([0, 4], -6, [0, 0])


def test_the_brp_is_relieved_below_the_start_of_its_curve() -> None:
    """Short by 50, the BRP pays its first price for each unit that bids below it do not take."""
    orders = bids((5, 2), (5, 4), position=whole(-50))
    assert result(clear(orders)) == ([0, 5], 3, [0, 0])


def test_a_limit_below_the_fixed_flow_is_a_price_not_a_failure() -> None:
    """Twelve flow through a limit of 5 whatever happens; every further unit costs 4 more, so only the bid of 8 pays."""
    orders = replace(TINY, fixed=whole([6, 6]), price=whole([6, 8, 4]))
    assert result(clear(orders)) == ([0, 4, 0], 3, [4, 4])


def test_reverse_flow_pays_for_consumption() -> None:
    """Twenty flow back through a limit of 5: consuming is paid 4, so even a bid of 0 beats the BRP's price of 3."""
    orders = replace(TINY, fixed=whole([-20, 0]), price=whole([0, -2, 4]))
    assert result(clear(orders)) == ([3, 0, 2], 3, [-4, -4])


def test_one_segment_across_both_limits() -> None:
    """From -7 to +13 in one bid of 1: below -5 it is worth 5 outside, above +5 it is worth -3, the BRP asks 0 or 2."""
    orders = bids((20, 1), fixed=whole([-7, 0]), limit=whole([5]), brp_price=whole([0, 2]), brp_quantity=whole([10, 0]))
    assert result(clear(orders)) == ([10], 1, [0, 0])
    assert result(clear(replace(orders, brp_price=whole([-9, -8])))) == ([20], -8, [4, 4])
    assert result(clear(replace(orders, brp_price=whole([4, 9])))) == ([2], 4, [-3, -3])


def test_equal_bids_are_served_in_their_order() -> None:
    assert result(clear(bids((5, 4), (5, 4), (5, 4)))) == ([5, 1, 0], 4, [0, 0])


def test_a_bid_at_the_price_of_the_brp_stays_away() -> None:
    assert result(clear(bids((5, 3)))) == ([0], 3, [0, 0])


def test_empty_segments_set_no_price() -> None:
    assert result(clear(bids((0, 5), (3, 10), (0, 4)))) == ([0, 3, 0], 3, [0, 0])


def test_nobody_offers() -> None:
    """Twelve flow through a limit of 5 and the BRP is asked for nothing, where its first price holds."""
    nothing = torch.zeros(1, 0, dtype=torch.int64)
    orders = replace(TINY, quantity=nothing, price=nothing, house=nothing[0], fixed=whole([6, 6]))
    assert result(clear(orders)) == ([], 3, [4, 4])


def test_no_element_is_limited() -> None:
    free = replace(TINY, limit=torch.zeros(1, 0).long(), members=torch.zeros(0, 2, dtype=torch.bool))
    assert result(clear(free)) == ([3, 4, 0], 6, [0, 0])


def test_quantities_near_the_end_of_the_range() -> None:
    """A trillion kWh in mWh: the same result, a hundred thousand million million times larger."""
    scale = 10**17
    large = {name: getattr(TINY, name) * scale for name in ("quantity", "fixed", "brp_quantity", "limit")}
    assert result(clear(replace(TINY, **large))) == ([3 * scale, 3 * scale, 0], 4, [4, 4])


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_a_firm_target_is_not_cut_below_the_cap(seed: int) -> None:
    """Bids at +-40 stay where they are: the BRP's prices within +-9 and two overloads at 15 cannot reach 40."""
    generator = torch.Generator().manual_seed(seed)

    def draw(low: int, high: int, *shape: int) -> torch.Tensor:
        return torch.randint(low, high + 1, shape, generator=generator)

    rows = 20
    others = draw(-39, 39, rows, 6)
    orders = Orders(
        quantity=draw(0, 9, rows, 8),
        price=torch.cat([torch.full((rows, 1), 40), others, torch.full((rows, 1), -40)], 1),
        house=draw(0, 1, 8),
        fixed=draw(-30, 30, rows, 2),
        position=draw(-30, 30, rows),
        brp_price=draw(-9, 9, rows, 3).sort(dim=1).values,
        brp_quantity=draw(0, 9, rows, 3),
        brp_start=draw(-30, 30, rows),
        limit=draw(0, 9, rows, 2),
        members=torch.tensor([[False, True], [True, True]]),
        cap=torch.full((rows,), 15),
    )
    accepted = clear(orders).accepted
    assert torch.equal(accepted[:, 0], orders.quantity[:, 0])
    assert not accepted[:, 7].any()


def test_a_firm_target_is_cut_where_the_overload_costs_more() -> None:
    assert result(clear(bids((9, 40), fixed=whole([0, 0]), limit=whole([5]), cap=whole(50))))[0] == [5]


@pytest.mark.parametrize("rows", [1, 7])
def test_shapes_and_types(rows: int) -> None:
    names = [name for name in vars(TINY) if name not in {"house", "members"}]
    award = clear(
        replace(TINY, **{name: getattr(TINY, name).expand(rows, *getattr(TINY, name).shape[1:]) for name in names})
    )
    assert (
        award.accepted.shape == (rows, 3)
        and award.balance_price.shape == (rows,)
        and award.grid_price.shape == (rows, 2)
    )
    assert {award.accepted.dtype, award.balance_price.dtype, award.grid_price.dtype} == {torch.int64}
