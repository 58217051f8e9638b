"""The gate: every row is admitted or rejected with a reason, whatever was handed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
import torch

from totalflex_env.batch import concatenate_rows
from totalflex_env.errors import DataError
from totalflex_env.market import book as books
from totalflex_env.market.admission import admit
from totalflex_env.market.auction import clear
from totalflex_env.market.book import AuctionBook, FlexOrders
from totalflex_env.market.rejections import Reason
from totalflex_env.trade_types import OfferState

NAN = float("nan")


@pytest.fixture
def good(market: Any) -> AuctionBook:
    """Three optional orders of one kWh each on two slots."""
    offers = market.offers([[0.0, 0.0]] * 3, [[1.0, 1.0]] * 3, [(0, 0)] * 3)
    orders = books.optional(offers, torch.tensor([0, 1, 2]), 2, market.prices(-0.5, -0.4, -0.3), market.prices(0, 0, 0))
    return market.book(orders, [[0.1, 0.2]] * 2, 5.0)


def first(orders: FlexOrders, **changed: object) -> FlexOrders:
    """Orders with other values in the first row; fields of the offer by their name."""
    mine = {name: value for name, value in changed.items() if name in vars(orders)}
    offer = {name: value for name, value in changed.items() if name not in mine}

    def put(record: Any, values: dict[str, object]) -> Any:
        fields = {name: vars(record)[name].clone() for name in values}
        for name, value in values.items():
            fields[name][0] = torch.as_tensor(value, dtype=fields[name].dtype)
        return replace(record, **fields)

    orders = put(orders, mine)
    return replace(orders, offers=put(orders.offers, offer))


CASES: list[tuple[dict[str, object], Reason]] = [
    ({"price_more": NAN}, Reason.NOT_A_NUMBER),
    ({"worth": float("inf")}, Reason.NOT_A_NUMBER),
    ({"upper": [1.0, NAN]}, Reason.NOT_A_NUMBER),
    ({"lower": [2.0, 0.0]}, Reason.INVERTED_BOUNDS),
    ({"lower": [-5.1, 0.0], "upper": [-16.89, 1.0]}, Reason.INVERTED_BOUNDS),
    ({"total_lower": 1.5, "total_upper": 1.0}, Reason.INVERTED_BOUNDS),
    ({"earliest": 1}, Reason.INVALID_OFFER),
    ({"latest": 1}, Reason.OUTSIDE_DAY),
    ({"node": 3}, Reason.UNKNOWN_NODE),
    ({"node": -1}, Reason.UNKNOWN_NODE),
    ({"submitted": 1.0}, Reason.PAST_GATE),
    ({"state": int(OfferState.CANCELED)}, Reason.REVOKED),
    ({"state": int(OfferState.EXECUTED)}, Reason.REVOKED),
    ({"upper": [0.0, 0.0], "total_upper": 0.0}, Reason.EMPTY),
    ({"price_more": -200.5, "price_less": 200.5}, Reason.PRICE_ABOVE_CAP),
    ({"price_more": -2.0, "price_less": 1.0}, Reason.PRICES_NOT_CONVEX),
    ({"parent": 77}, Reason.UNKNOWN_PARENT),
    ({"parent": 0}, Reason.LINK_CYCLE),
]


@pytest.mark.parametrize(
    ("changed", "reason"), CASES, ids=[f"{reason.name}-{n}" for n, (_, reason) in enumerate(CASES)]
)
def test_a_bad_order_comes_back_with_its_reason(good: AuctionBook, changed: dict[str, object], reason: Reason) -> None:
    book = replace(good, orders=first(good.orders, **changed))
    admitted, rejections = admit(book)
    assert [(rejection.name, rejection.row, rejection.reason) for rejection in rejections] == [("0", 0, reason)]
    assert admitted.orders.id.tolist() == [1, 2]
    assert clear(book).rejections == rejections and reason in str(rejections[0])


@pytest.mark.parametrize(
    "changed", [{"price_more": -200.0, "price_less": 200.0}, {"price_more": 0.5}, {"worth": -1.0}, {"submitted": 0.0}]
)
def test_what_is_unusual_but_proper_is_admitted(good: AuctionBook, changed: dict[str, object]) -> None:
    """A price at the cap, a negative price, an order that costs to be accepted, one received at the gate."""
    assert not admit(replace(good, orders=first(good.orders, **changed)))[1]


def test_of_equal_identities_the_first_received_stays(good: AuctionBook) -> None:
    twice = concatenate_rows([good.orders, good.orders])
    later = replace(twice, submitted=torch.tensor([0.0, 0.0, 0.0, -1.0, 0.0, 0.0], dtype=torch.float64))
    admitted, rejections = admit(replace(good, orders=later))
    assert [rejection.row for rejection in rejections] == [0, 4, 5]
    assert {rejection.reason for rejection in rejections} == {Reason.DUPLICATE}
    other = replace(twice, worth=twice.worth + torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0, 1.0], dtype=torch.float64))
    assert {r.reason for r in admit(replace(good, orders=other))[1]} == {Reason.IDENTITY_REUSED}
    assert len(admitted.orders.id) == 3


def test_children_of_rejected_parents_and_longer_cycles_are_rejected(good: AuctionBook) -> None:
    chain = replace(good.orders, parent=torch.tensor([-1, 0, 1]))
    _, rejections = admit(replace(good, orders=first(chain, worth=NAN)))
    assert [r.reason for r in rejections] == [Reason.NOT_A_NUMBER, Reason.PARENT_REJECTED, Reason.PARENT_REJECTED]
    cycle = replace(good.orders, parent=torch.tensor([2, 0, 1]))
    assert {r.reason for r in admit(replace(good, orders=cycle))[1]} == {Reason.LINK_CYCLE}


def test_inconsistent_families_are_rejected(good: AuctionBook) -> None:
    both = replace(good.orders, parent=torch.tensor([-1, 0, -1]), group=torch.tensor([5, -1, -1]))
    reasons = [r.reason for r in admit(replace(good, orders=both))[1]]
    assert reasons == [Reason.LINKED_AND_EXCLUSIVE, Reason.PARENT_REJECTED]
    mixed = replace(good.orders, group=torch.tensor([5, 5, -1]), must_run=torch.tensor([True, False, False]))
    assert [r.reason for r in admit(replace(good, orders=mixed))[1]] == [Reason.MIXED_GROUP] * 2
    forced = replace(good.orders, parent=torch.tensor([-1, 0, -1]), must_run=torch.tensor([False, True, False]))
    assert [r.reason for r in admit(replace(good, orders=forced))[1]] == [Reason.FORCED_CHILD]


CURVES: list[tuple[Callable[[Any], Any], Reason]] = [
    (lambda c: replace(c, price=c.price * NAN), Reason.NOT_A_NUMBER),
    (lambda c: replace(c, price=c.price.flip(2)), Reason.PRICES_FALL),
    (lambda c: replace(c, quantity=-c.quantity), Reason.NEGATIVE_QUANTITY),
    (lambda c: replace(c, start=c.start + 100.0), Reason.ZERO_NOT_OFFERED),
]


@pytest.mark.parametrize(("change", "reason"), CURVES, ids=[reason.name for _, reason in CURVES])
def test_bad_curves_come_back_too(good: AuctionBook, change: Callable[[Any], Any], reason: Reason) -> None:
    cleared = clear(replace(good, curves=change(good.curves)))
    assert [(r.side, r.reason) for r in cleared.rejections] == [("curve", reason)]
    assert not bool(cleared.allocation.deviation.any())


def test_bad_limits_come_back_too(good: AuctionBook) -> None:
    base = torch.zeros(3, 2, dtype=torch.float64)
    limits = books.element_limits(("a", "b", "c"), torch.eye(3), base, base + 1.0, 1.0)
    limits = replace(
        limits,
        cap=torch.tensor([[1.0], [-1.0], [1.0]]).double().expand(-1, 2),
        lower=torch.tensor([[-1.0], [-1.0], [2.0]]).double().expand(-1, 2),
    )
    admitted, rejections = admit(replace(good, limits=limits))
    assert [(r.name, r.reason) for r in rejections] == [("b", Reason.NEGATIVE_CAP), ("c", Reason.INVERTED_BOUNDS)]
    assert admitted.limits.name == ("a",)


def test_an_empty_book_clears(good: AuctionBook) -> None:
    nobody = replace(good, orders=first(good.orders, node=0))
    book = replace(nobody, orders=replace(nobody.orders, submitted=nobody.orders.submitted + 1.0))
    cleared = clear(book)
    assert len(cleared.rejections) == 3 and cleared.allocation.cost == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"gate": NAN}, "gate = nan: expected seconds since 1970"),
        ({"price_cap": NAN}, "price_cap = nan: expected a number above 0"),
        ({"price_cap": -1.0}, "price_cap = -1.0: expected a number above 0"),
        ({"slot_hours": 0.0}, "slot_hours = 0.0: expected a number above 0"),
        ({"begin": datetime(2024, 1, 22)}, "expected a time with its zone"),
    ],
)
def test_a_book_whose_terms_say_nothing_is_refused(good: AuctionBook, changed: dict[str, Any], said: str) -> None:
    """With a gate or a cap that is no number every order would be in time and cheap enough."""
    with pytest.raises(DataError) as refused:
        admit(replace(good, **changed))
    assert said in str(refused.value)
