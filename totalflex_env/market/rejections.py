"""Why an order is not admitted to an auction: a closed list, modelled on the one of the Shapeshifter protocol."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """All there are. The value is what the sender is told."""

    NOT_A_NUMBER = "a number is missing or not finite"
    INVERTED_BOUNDS = "a lower bound lies above its upper bound"
    INVALID_OFFER = "the flex-offer breaks one of its rules"
    EMPTY = "the order can take no energy in any slot"
    OUTSIDE_DAY = "the profile may end after the last slot of the day"
    UNKNOWN_NODE = "the node is none of the grid"
    PAST_GATE = "received after the gate"
    REVOKED = "the flex-offer was canceled or has come to its end"
    DUPLICATE = "the same order has been received before"
    IDENTITY_REUSED = "the identity belongs to another order"
    PRICE_ABOVE_CAP = "a price is larger than the cap"
    PRICES_NOT_CONVEX = "more and less energy than the position both pay: price_more + price_less < 0"
    UNKNOWN_PARENT = "the parent is not in the book"
    PARENT_REJECTED = "the parent has been rejected"
    LINK_CYCLE = "an order is its own ancestor"
    FORCED_CHILD = "an order that must run depends on one that need not"
    LINKED_AND_EXCLUSIVE = "an order is both linked and in an exclusive group"
    MIXED_GROUP = "some orders of a group must run and others need not"
    PRICES_FALL = "the prices of a curve do not rise with its steps"
    NEGATIVE_QUANTITY = "a step has a negative quantity"
    ZERO_NOT_OFFERED = "a curve does not reach a supply of zero"
    NEGATIVE_CAP = "the price of exceeding a limit is negative"


@dataclass(frozen=True)
class Rejection:
    """One order, curve or limit that was not admitted."""

    side: str  # "order", "curve" or "limit"
    name: str  # id of the order or curve, name of the limit
    row: int  # in the book that was handed in
    reason: Reason
    detail: str = ""  # the rule or the number that decided

    def __str__(self) -> str:
        return f"{self.side} {self.name}: {self.reason}" + (f" ({self.detail})" if self.detail else "")
