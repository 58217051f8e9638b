"""Prices explained: what they consist of in every slot, and what moved a device.

The price at a node is the balance price plus sensitivity * price of every limit that binds. So what an order receives
splits into parts, one per slot and cause, that add up to its payment: nothing is left unexplained.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from totalflex_env.market.auction import Clearing
from totalflex_env.market.book import AuctionBook

WORTH = 0.005  # EUR below which a cause is not worth a sentence
PRICED = 1e-7  # EUR per unit below which a limit counts as free


@dataclass(frozen=True)
class Cause:
    """One reason for the price in one slot at one node."""

    slot: int
    label: str  # local time of the slot
    name: str  # "balance", or the name of the limit
    voltage: bool
    price: float  # EUR/kWh, the part of the nodal price


@dataclass(frozen=True)
class Share:
    """What one cause was worth to one order."""

    cause: Cause
    energy: float  # kWh, the deviation in the slot
    worth: float  # EUR received for it


@dataclass(frozen=True)
class Explanation:
    """Why an order is awarded what it is."""

    order: int  # id
    accepted: bool
    shift: int  # slots between the default start and the awarded one
    shares: tuple[Share, ...]  # all that are worth anything, the largest first
    uplift: float  # EUR
    charge: float  # EUR paid for uplifts of others
    received: float  # EUR, the sum of all

    @property
    def sentence(self) -> str:
        """The explanation as its owner reads it."""
        if not self.accepted:
            return f"offer {self.order} was not accepted: at these prices it would have cost more than it is worth"
        moved = [share for share in self.shares if share.worth >= WORTH]
        how = "kept as it was" if not self.shares else "moved" if moved else "changed"
        what = [_because(share) for share in moved[:3]]
        if self.uplift >= WORTH:
            what.append(f"an uplift of {self.uplift:.2f} EUR makes up for what the prices miss")
        return f"offer {self.order} {how}" + (" because " + "; ".join(what) if what else "")


def label(book: AuctionBook, slot: int) -> str:
    """Return the local time at which a slot begins: hours and minutes, with the offset from UTC."""
    begin: datetime = book.begin
    zone = begin.tzinfo
    moment = begin.timestamp() + slot * book.slot_hours * 3600.0
    return datetime.fromtimestamp(moment, tz=zone).strftime("%H:%M %z")


def causes(clearing: Clearing, node: int) -> tuple[Cause, ...]:
    """Return what the prices at a node consist of, slot by slot; they add up to its nodal prices."""
    book, prices = clearing.book, clearing.prices
    limits = book.limits
    parts = limits.sensitivity[:, node, None] * prices.limit
    found = []
    for slot in range(book.slots):
        when = label(book, slot)
        found.append(Cause(slot, when, "balance", False, float(prices.balance[slot])))
        for row in (prices.limit[:, slot].abs() > PRICED).nonzero()[:, 0].tolist():
            if limits.sensitivity[row, node] != 0.0:
                found.append(Cause(slot, when, limits.name[row], bool(limits.voltage[row]), float(parts[row, slot])))
    return tuple(found)


def explain(clearing: Clearing, order: int) -> Explanation:
    """Return why the admitted order with this id is awarded what it is; a KeyError names an id that is not there."""
    book, allocation, paid = clearing.book, clearing.allocation, clearing.payments
    rows = (book.orders.id == order).nonzero()[:, 0].tolist()
    if not rows:
        raise KeyError(f"no order {order} was admitted")
    row = rows[0]
    deviation = allocation.deviation[row]
    node = int(book.orders.node[row])
    shares = [
        Share(cause, float(deviation[cause.slot]), -cause.price * float(deviation[cause.slot]))
        for cause in causes(clearing, node)
        if deviation[cause.slot] != 0.0
    ]
    shares.sort(key=lambda share: (-share.worth, share.cause.slot, share.cause.name))
    return Explanation(
        order=order,
        accepted=bool(allocation.accepted[row]),
        shift=int(allocation.start[row] - book.orders.offers.default_start[row]),
        shares=tuple(shares),
        uplift=float(paid.uplift[row]),
        charge=float(paid.charge[row]),
        received=float(paid.order[row]),
    )


def binding(clearing: Clearing) -> tuple[tuple[str, str, float, float], ...]:
    """Return the limits with a price: slot, name, EUR per unit, EUR the grid operator pays there; dearest first."""
    book, prices = clearing.book, clearing.prices
    worth = prices.limit * (book.limits.base - clearing.allocation.value)
    priced = (prices.limit.abs() > PRICED).nonzero().tolist()
    rows = [
        (label(book, slot), book.limits.name[row], float(prices.limit[row, slot]), float(worth[row, slot]))
        for row, slot in priced
    ]
    return tuple(sorted(rows, key=lambda one: -abs(one[3])))


def _because(share: Share) -> str:
    cause = share.cause
    if cause.name == "balance":
        why = "energy was dear" if cause.price > 0.0 and share.energy < 0.0 else "energy was to be had"
        return f"{why} at {cause.label}, worth {share.worth:.2f} EUR"
    kind = "the voltage at " if cause.voltage else ""
    return f"{kind}{cause.name} was at its limit at {cause.label}, worth {share.worth:.2f} EUR"
