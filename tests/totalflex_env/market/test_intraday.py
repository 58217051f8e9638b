"""Bids for a slot: what is proper is cleared, everything else comes back with its reason."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
import torch

from totalflex_env.errors import DataError
from totalflex_env.market.clearing import clear
from totalflex_env.market.intraday import Bid, Gate, admit
from totalflex_env.market.rejections import Reason
from totalflex_env.trade_types import Orders

KWH = EUR = 1_000_000
GATE = Gate(closes=1000.0, houses=2, price_cap=4.0)
GOOD = Bid(7, house=1, steps=((1.0, 0.5), (2.0, 0.1)), submitted=900.0)


def empty_book() -> Orders:
    """Two houses without a limit; the BRP supplies up to 10 kWh at 0.20 EUR/kWh."""
    none = torch.zeros(1, 0, dtype=torch.int64)
    zero = torch.zeros(1, dtype=torch.int64)
    return Orders(
        quantity=none,
        price=none,
        house=none[0],
        fixed=torch.zeros(1, 2, dtype=torch.int64),
        position=zero,
        brp_price=torch.tensor([[EUR // 5]]),
        brp_quantity=torch.tensor([[10 * KWH]]),
        brp_start=zero,
        limit=none,
        members=torch.zeros(0, 2, dtype=torch.bool),
        cap=zero + EUR,
    )


def test_a_proper_bid_is_cleared_as_far_as_it_pays() -> None:
    book, rejected = admit(empty_book(), [GOOD], GATE)
    assert not rejected
    award = clear(book)
    assert award.accepted.tolist() == [[KWH, 0]] and award.balance_price.tolist() == [EUR // 5]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"submitted": 1000.1}, Reason.PAST_GATE),
        ({"submitted": float("nan")}, Reason.NOT_A_NUMBER),
        ({"steps": ((float("nan"), 0.5),)}, Reason.NOT_A_NUMBER),
        ({"steps": ((1.0, float("inf")),)}, Reason.NOT_A_NUMBER),
        ({"steps": ((-1.0, 0.5), (3.0, 0.1))}, Reason.NEGATIVE_QUANTITY),
        ({"steps": ((0.0, 0.5),)}, Reason.EMPTY),
        ({"steps": ()}, Reason.EMPTY),
        ({"house": 2}, Reason.UNKNOWN_NODE),
        ({"house": -1}, Reason.UNKNOWN_NODE),
        ({"steps": ((1.0, 4.000001),)}, Reason.PRICE_ABOVE_CAP),
        ({"steps": ((1.0, -4.1),)}, Reason.PRICE_ABOVE_CAP),
    ],
)
def test_a_late_or_improper_bid_comes_back_with_its_reason(changed: dict[str, object], reason: Reason) -> None:
    bad = replace(GOOD, id=8, **changed)  # type: ignore[arg-type]
    book, rejected = admit(empty_book(), [GOOD, bad], GATE)
    assert [(each.name, each.row, each.reason) for each in rejected] == [("8", 1, reason)]
    assert torch.equal(book.quantity, admit(empty_book(), [GOOD], GATE)[0].quantity)


@pytest.mark.parametrize(
    "changed", [{"submitted": 1000.0}, {"steps": ((1.0, 4.0), (0.0, -4.0))}, {"steps": ((1.0, -0.5),)}]
)
def test_what_is_unusual_but_proper_is_admitted(changed: dict[str, object]) -> None:
    bid = replace(GOOD, **changed)  # type: ignore[arg-type]
    book, rejected = admit(empty_book(), [bid], GATE)
    assert not rejected and book.quantity.shape[1] == len(bid.steps)


def test_of_one_identity_the_first_received_stays_and_the_order_of_bids_does_not_matter() -> None:
    again, other = replace(GOOD, submitted=950.0), replace(GOOD, house=0, submitted=960.0)
    books = []
    for bids in permutations([GOOD, again, other, replace(GOOD, id=3, house=0)]):
        book, rejected = admit(empty_book(), bids, GATE)
        assert {each.reason for each in rejected} == {Reason.DUPLICATE, Reason.IDENTITY_REUSED}
        assert len(rejected) == 2
        books.append((book.quantity.tolist(), book.price.tolist(), book.house.tolist()))
    assert all(book == books[0] for book in books) and books[0][2] == [0, 0, 1, 1]


@pytest.mark.parametrize(("closes", "cap", "field"), [(float("nan"), 4.0, "closes"), (0.0, float("nan"), "price_cap")])
def test_a_gate_that_is_no_number_is_refused(closes: float, cap: float, field: str) -> None:
    with pytest.raises(DataError, match=field):
        Gate(closes=closes, houses=2, price_cap=cap)
