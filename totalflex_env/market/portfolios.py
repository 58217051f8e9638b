"""Several balance responsible parties (BRPs): whose imbalance a slot is, and what each of them owes for it.

The engine settles all houses with one BRP. Here it is a balance group of R parties: every house has a supplier, and the
flexibility of a house may be bought by another party. The buyer's activation would be the supplier's imbalance, so
positions are adjusted by what was activated (`market.imbalance.adjustments`).

The group settles its imbalance with the world outside as one, at the up price where it is short and at the down price
where it is long, and every party settles its own at that same price. Opposite imbalances within the group so cancel,
and the accounts of the parties sum to that of the single BRP to the last micro-EUR: the system cost does not depend on
how the houses are divided.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from totalflex_env.market.imbalance import adjustments, imbalances
from totalflex_env.market.settlement import Statement, activated, book, whole_money
from totalflex_env.types import Params


@dataclass(frozen=True)
class Portfolios:
    """Who is responsible for what in slots of R parties."""

    supplier: Tensor  # [P] int64, party of each house
    buyer: Tensor  # [P] int64, party that buys the flexibility of each house
    wind: int  # party of the wind park
    nomination: Tensor  # [B, R] int64 mWh bought day-ahead; a row sums to the nomination of its statement


@dataclass(frozen=True)
class PartyAccounts:
    """What a slot leaves each party: int64, mWh and micro-EUR."""

    correction: Tensor  # [B, R] of positions; a row sums to 0
    imbalance: Tensor  # [B, R] metered less corrected position
    wholesale: Tensor  # [B, R] paid to the world outside for nomination and imbalance
    balance: Tensor  # [B, R] change of the account


def settle_parties(params: Params, said: Statement, group: Portfolios, corrected: bool = True) -> PartyAccounts:
    """Return the accounts of all parties; without `corrected` positions every activation is its supplier's imbalance.

    A house pays retail to its supplier; its aggregator pays the balance price, and the penalty for what is missing, to
    the buyer, whose imbalance the missing energy is.
    """
    booked, (change, _) = book(params, said), activated(params, said)
    parties = group.nomination.shape[1]
    nothing = torch.zeros_like(group.nomination)
    metered = nothing.index_add(1, group.supplier, said.metered + said.fixed)
    metered[:, group.wind] -= said.wind
    correction = adjustments(change, group.supplier, group.buyer, parties) if corrected else nothing
    imbalance = imbalances(metered, group.nomination, correction)
    price = torch.where(imbalance.sum(1) > 0, said.up, said.down)
    owed = said.spot[:, None] * group.nomination + price[:, None] * imbalance
    wholesale = whole_money(owed.cumsum(1)).diff(dim=1, prepend=nothing[:, :1])  # rounded so that the sum is exact
    received = nothing.index_add(1, group.supplier, booked.retail)
    received = received.index_add(1, group.buyer, booked.balance + booked.penalty)
    return PartyAccounts(correction, imbalance, wholesale, received - wholesale)
