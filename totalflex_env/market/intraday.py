"""Bids that parties outside the simulator send for one slot: admitted, or returned with a reason from the closed list.

Nothing is repaired and nothing disappears: every bid is either in the segments of the book or in the rejections, once.
The simulator's own roles bid by tensors (`market.orders`); these messages end up in the same clearing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from totalflex_env.errors import DataError
from totalflex_env.market.rejections import Reason, Rejection
from totalflex_env.trade_types import Orders
from totalflex_env.units import to_micro_eur, to_mwh_integer


@dataclass(frozen=True)
class Bid:
    """What a house would consume beyond the energy that is fixed, step by step."""

    id: int  # unique in the slot; the lower one is served first among equal prices
    house: int
    steps: tuple[tuple[float, float], ...]  # kWh, at least 0, and the EUR/kWh up to which they are taken
    submitted: float  # seconds since 1970 (UTC) at which it was received


@dataclass(frozen=True)
class Gate:
    """When and what a slot may be bid for."""

    closes: float  # seconds since 1970 (UTC); what is received later is rejected
    houses: int
    price_cap: float  # EUR/kWh, of either sign

    def __post_init__(self) -> None:
        if not math.isfinite(self.closes):
            raise DataError("gate of a slot", "closes", self.closes, "seconds since 1970")
        if not 0.0 < self.price_cap < math.inf:
            raise DataError("gate of a slot", "price_cap", self.price_cap, "a number above 0")


def admit(orders: Orders, bids: Sequence[Bid], gate: Gate) -> tuple[Orders, tuple[Rejection, ...]]:
    """Return the book of one slot (a batch of one row) with all proper bids as further segments, and all rejections.

    The result depends on the bids, never on their order (but of two with one identity the first received stays).
    """
    kept: dict[int, int] = {}  # row of each identity
    rejected: dict[int, Rejection] = {}
    for row in sorted(range(len(bids)), key=lambda row: bids[row].submitted if _finite(bids[row]) else -math.inf):
        bid = bids[row]
        reason = next(_faults(bid, gate), None)
        if reason is None and bid.id in kept:
            same = replace(bids[kept[bid.id]], submitted=bid.submitted) == bid
            reason = Reason.DUPLICATE if same else Reason.IDENTITY_REUSED
        if reason is None:
            kept[bid.id] = row
        else:
            rejected[row] = Rejection("order", str(bid.id), row, reason)
    return _with(orders, [bids[kept[name]] for name in sorted(kept)]), tuple(rejected[row] for row in sorted(rejected))


def _finite(bid: Bid) -> bool:
    return all(map(math.isfinite, (bid.submitted, *(number for step in bid.steps for number in step))))


def _faults(bid: Bid, gate: Gate) -> Iterator[Reason]:
    """Why a bid is not admitted; the first reason counts."""
    if not _finite(bid):
        yield Reason.NOT_A_NUMBER
    if any(energy < 0.0 for energy, _ in bid.steps):
        yield Reason.NEGATIVE_QUANTITY
    if not any(energy > 0.0 for energy, _ in bid.steps):
        yield Reason.EMPTY
    if not 0 <= bid.house < gate.houses:
        yield Reason.UNKNOWN_NODE
    if bid.submitted > gate.closes:
        yield Reason.PAST_GATE
    if any(abs(price) > gate.price_cap for _, price in bid.steps):
        yield Reason.PRICE_ABOVE_CAP


def _with(orders: Orders, bids: Sequence[Bid]) -> Orders:
    steps = torch.tensor([step for bid in bids for step in bid.steps], dtype=torch.float64).reshape(-1, 2)
    house = torch.tensor([bid.house for bid in bids for _ in bid.steps], dtype=torch.int64)
    return replace(
        orders,
        quantity=torch.cat([orders.quantity, to_mwh_integer(steps[:, 0])[None]], 1),
        price=torch.cat([orders.price, to_micro_eur(steps[:, 1])[None]], 1),
        house=torch.cat([orders.house, house]),
    )
